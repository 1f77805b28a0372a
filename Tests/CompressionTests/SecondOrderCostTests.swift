import Execution
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// The predicted cost against its definition, and the groups that share bits.
@Suite struct SecondOrderCostTests {
  private func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    let matrix = Matrix(rows: rows, columns: columns)
    for index in 0..<rows * columns {
      matrix.pointer[index] = Float(Double(SeededRandom.value(seed: seed, index: UInt64(index)) >> 11) / Double(1 << 53) - 0.5)
    }
    return matrix
  }

  /// ½ · mean over pairs of tokens of (gᵀ ΔW x)², which is what the two factors together say.
  @Test func isTheMeanOfSquaredProducts() throws {
    let (rows, columns, tokens) = (37, 53, 21)
    let pool = ThreadPool(threads: 2)
    let (error, x, g) = (matrix(rows, columns, seed: 1), matrix(tokens, columns, seed: 2), matrix(tokens, rows, seed: 3))
    let (inputs, outputs) = (GramMatrix(inputs: columns), GramMatrix(inputs: rows))
    try inputs.accumulate(x, pool: pool)
    try outputs.accumulate(g, pool: pool)
    var expected = 0.0
    for first in 0..<tokens {
      for second in 0..<tokens {
        var product = 0.0
        for row in 0..<rows {
          for column in 0..<columns {
            product += Double(g.row(first)[row]) * Double(error.row(row)[column]) * Double(x.row(second)[column])
          }
        }
        expected += product * product / 2 / Double(tokens * tokens)
      }
    }
    let cost = try SecondOrderCost.predicted(of: error, named: "w", inputs: inputs, outputs: outputs, pool: pool)
    #expect(abs(cost - expected) < 1e-4 * expected)
    #expect(throws: CompressionError.self) {
      try SecondOrderCost.predicted(of: error, named: "w", inputs: outputs, outputs: inputs, pool: pool)
    }
  }

  private struct Shapes: WeightSource {
    let shapes: [String: Shape]
    var names: [String] { shapes.keys.sorted() }
    func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(.bfloat16)) } }
    func load(_ name: String) throws -> Weight { .dense(Tensor(dataType: .bfloat16, shape: shapes[name] ?? [0]) { _ in }) }
  }

  /// Groups follow what layers read, whatever they are called.
  @Test func layersThatReadTheSameValueAreOneGroup() throws {
    let names = ["e", "b.0.x.first", "b.0.x.second", "b.0.x.third", "b.0.out", "head"]
    let shapes = Dictionary(
      uniqueKeysWithValues: names.map { ("\($0).weight", ($0 == "e" || $0 == "head" ? [10, 32] : [32, 32]) as Shape) })
    var builder = GraphBuilder(family: "toy", vocabularySize: 10, maximumPositions: 8, weights: Shapes(shapes: shapes))
    let x = try builder.embedding(builder.input, "e", width: 32)
    builder.endBlock(.embedding, "e")
    let first = try builder.linear(x, "b.0.x.first", outputs: 32, role: .attentionQuery)
    let second = try builder.linear(x, "b.0.x.second", outputs: 32, role: .mlpUp)
    let third = try builder.linear(x, "b.0.x.third", outputs: 32, role: .mlpDown)
    let sum = builder.add(builder.add(first, second, scope: "b.0"), third, scope: "b.0")
    let out = try builder.linear(sum, "b.0.out", outputs: 32, role: .attentionOutput)
    builder.endBlock(.layer(0), "b.0")
    let logits = try builder.linear(out, "head", outputs: 10, role: .languageModelHead)
    builder.endBlock(.head, "head")
    let graph = try builder.finish(output: logits)
    var targets = QuantizationTargets()
    targets.ignore = ["b.0.x.second"]
    func groups() throws -> [String] { FusedGroup.all(in: graph, of: Set(try targets.schemes(for: graph).keys)).map(\.name) }
    #expect(try groups() == ["b.0.x.{first,third}", "b.0.out"])
    targets.ignore = []
    #expect(try groups() == ["b.0.x.{first,second,third}", "b.0.out"])
  }
}
