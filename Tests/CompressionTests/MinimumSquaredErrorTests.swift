import Diagnostics
import Execution
import ModelGraph
import StructuredData
import Tensors
import Testing

@testable import Compression

/// Weights with outliers, and what the tests measure on them.
enum SearchFixture {
  static let pool = ThreadPool(threads: 2)

  static func weight(_ rows: Int, _ columns: Int, _ type: DataType = .bfloat16, seed: UInt64 = 1) throws -> Tensor {
    var random = SeededRandom(seed: seed)
    let values = (0..<rows * columns).map { index in
      let value = Float(random.nextUnit() + random.nextUnit() + random.nextUnit() - 1.5)
      return index % 37 == 0 ? value * 3 : value
    }
    return try #require(Tensor(values, shape: [rows, columns]).converted(to: type))
  }

  /// Σ importance·(w − ŵ)².
  static func error(_ weight: Tensor, _ quantized: QuantizedTensor, _ importance: [Float]? = nil) throws -> Double {
    let original = try #require(weight.float32Values()), restored = try #require(quantized.dequantized().float32Values())
    let columns = weight.shape[1]
    return zip(original, restored).enumerated().reduce(0) { sum, element in
      let rest = Double(element.1.0) - Double(element.1.1)
      return sum + Double(importance?[element.0 % columns] ?? 1) * rest * rest
    }
  }

  static func digest(_ tensor: QuantizedTensor) -> String { Weight.quantized(tensor).digest() }

  private struct Layers: WeightSource {
    var names: [String] { ["e.weight", "l.0.q.weight", "l.0.down.weight"] }
    func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
      names.contains(name) ? ([48, 48], .dense(.bfloat16)) : nil
    }
    func load(_ name: String) throws -> Weight { .dense(try SearchFixture.weight(48, 48, seed: UInt64(name.utf8.count))) }
  }

  /// An embedding and a block with two linears of 48 by 48.
  static func graph() throws -> ModelGraph {
    var builder = GraphBuilder(family: "toy", vocabularySize: 48, maximumPositions: 8, weights: Layers())
    let x = try builder.embedding(builder.input, "e", width: 48)
    builder.endBlock(.embedding, "e")
    let q = try builder.linear(x, "l.0.q", outputs: 48, role: .attentionQuery)
    let down = try builder.linear(q, "l.0.down", outputs: 48, role: .mlpDown)
    builder.endBlock(.layer(0), "l.0")
    return try builder.finish(output: down)
  }
}

@Suite struct MinimumSquaredErrorTests {
  private let pool = SearchFixture.pool

  private func searched(
    _ weight: Tensor, _ scheme: QuantizationScheme, importance: [Float]? = nil, elements: ElementImportance = .column
  ) throws -> QuantizedTensor {
    let rows = WeightRows.tensor(weight)
    return try GridTable(searching: rows, named: "w", scheme: scheme, importance: importance, elements: elements, pool: pool)
      .quantize(rows, named: "w", pool: pool).tensor
  }

  @Test(arguments: [2, 3, 4, 5, 6, 8], [true, false])
  func neverWorseThanRoundToNearest(_ bits: Int, _ symmetric: Bool) throws {
    for (type, granularity, columns) in [
      (DataType.float32, Granularity.channel, 70), (.bfloat16, .group(32), 96), (.float16, .group(64), 128),
    ] {
      let scheme = QuantizationScheme(bits: bits, symmetric: symmetric, granularity: granularity)
      let weight = try SearchFixture.weight(7, columns, type)
      let found = try searched(weight, scheme)
      let errors = try ScaleRule.allCases.map { rule in
        try SearchFixture.error(
          weight, RowQuantizer(scheme: scheme, rule: rule).quantize(weight, named: "w", pool: pool).tensor)
      }
      let least = try #require(errors.min()), error = try SearchFixture.error(weight, found)
      #expect(error <= least * (bits < 5 ? 0.97 : 1), "\(scheme.name) \(type)")
      #expect(found.scales.dataType == type)
    }
  }

  @Test(arguments: [true, false])
  func importanceLowersTheWeightedError(_ symmetric: Bool) throws {
    let weight = try SearchFixture.weight(16, 128)
    var random = SeededRandom(seed: 5)
    let importance = (0..<128).map { $0 % 9 == 0 ? Float(20) : Float(random.nextUnit()) }
    let scheme = QuantizationScheme(bits: 3, symmetric: symmetric, granularity: .group(32))
    let plain = try searched(weight, scheme), weighted = try searched(weight, scheme, importance: importance)
    let before = try SearchFixture.error(weight, plain, importance), after = try SearchFixture.error(weight, weighted, importance)
    #expect(after < before * 0.95)
    #expect(try SearchFixture.error(weight, plain) < SearchFixture.error(weight, weighted))
    // The same everywhere is no importance at all.
    let even = try searched(weight, scheme, importance: [Float](repeating: 7, count: 128))
    #expect(SearchFixture.digest(even) == SearchFixture.digest(plain))
    let none = try searched(weight, scheme, importance: [Float](repeating: 0, count: 128))
    #expect(SearchFixture.digest(none) == SearchFixture.digest(plain))
  }

  /// Weighting by magnitude as well must lower the error that is weighted so, in which large weights count more.
  @Test func imatrixElementsLowerTheirOwnError() throws {
    let weight = try SearchFixture.weight(16, 128, .float32)
    var random = SeededRandom(seed: 6)
    let importance = (0..<128).map { _ in Float(random.nextUnit()) }
    let scheme = QuantizationScheme(bits: 2, granularity: .group(64))
    let values = try #require(weight.float32Values())
    func error(_ elements: ElementImportance) throws -> Double {
      let restored = try #require(try searched(weight, scheme, importance: importance, elements: elements).dequantized().float32Values())
      return (0..<16).reduce(0) { sum, row in
        let own = values[row * 128..<(row + 1) * 128]
        let twice = own.reduce(0) { $0 + Double($1) * Double($1) } / 64
        return own.indices.reduce(sum) { sum, index in
          let (w, rest) = (Double(values[index]), Double(values[index] - restored[index]))
          return sum + Double(importance[index % 128]) * (twice + w * w).squareRoot() * rest * rest
        }
      }
    }
    #expect(try error(.imatrix) < error(.column))
  }

  @Test func importanceOfAnotherWidthIsRefused() throws {
    let weight = try SearchFixture.weight(2, 32)
    let error = #expect(throws: CompressionError.self) {
      try searched(weight, QuantizationScheme(bits: 4), importance: [1, 2, 3])
    }
    #expect(error?.subject == "w" && error?.kind == .badData)
  }

  @Test func tableSourcesAndAssemblyAgree() throws {
    let weight = try SearchFixture.weight(9, 80, .float32)
    let scheme = QuantizationScheme(bits: 3, symmetric: false, granularity: .group(32))
    let values = try #require(weight.float32Values())
    let copy = Matrix(rows: 9, columns: 80)
    for (index, value) in values.enumerated() { copy.pointer[index] = value }
    let table = try GridTable(searching: .tensor(weight), named: "w", scheme: scheme, pool: pool)
    let other = try GridTable(searching: .matrix(copy), named: "w", scheme: scheme, pool: pool)
    #expect(table.groups == 3 && table.scales.count == 27 && table.zeroPoints.count == 27)
    #expect(table.scales == other.scales && table.zeroPoints == other.zeroPoints)
    let direct = try table.quantize(.tensor(weight), named: "w", pool: pool).tensor
    var codes = [UInt8](repeating: 0, count: 720)
    for row in 0..<9 {
      codes.withUnsafeMutableBufferPointer { buffer in
        guard let target = buffer.baseAddress else { return }
        withExtendedLifetime(copy) { _ = table.roundRow(row, copy.row(row), into: target + row * 80) }
      }
    }
    let assembled = try codes.withUnsafeBufferPointer { buffer in
      try table.assemble(codes: try #require(buffer.baseAddress), named: "w", pool: pool)
    }
    #expect(SearchFixture.digest(assembled) == SearchFixture.digest(direct))
    #expect(throws: CompressionError.self) { try table.quantize(.tensor(try SearchFixture.weight(9, 64)), named: "w", pool: pool) }
  }

  @Test(arguments: [true, false])
  func threadsDoNotChangeAByte(_ symmetric: Bool) throws {
    let weight = try SearchFixture.weight(33, 128)
    let scheme = QuantizationScheme(bits: 3, symmetric: symmetric, granularity: .group(32))
    let digests = try [1, 2, 4].map { threads in
      let (rows, pool) = (WeightRows.tensor(weight), ThreadPool(threads: threads))
      let importance = (0..<128).map { Float($0 % 5) }
      let table = try GridTable(
        searching: rows, named: "w", scheme: scheme, importance: importance, elements: .imatrix, pool: pool)
      return SearchFixture.digest(try table.quantize(rows, named: "w", pool: pool).tensor)
    }
    #expect(Set(digests).count == 1)
  }

  @Test func nonFiniteWeightsAreRefusedByName() throws {
    let weight = Tensor([1, .nan, .infinity, 3], shape: [1, 4])
    let error = #expect(throws: CompressionError.self) { try searched(weight, QuantizationScheme(bits: 4)) }
    #expect(error?.subject == "w" && error?.kind == .badData && error?.problem.contains("2 weights") == true)
  }

  @Test func thePassReplacesAndRecords() throws {
    var graph = try SearchFixture.graph()
    var pass = MinimumSquaredError(bits: 3, groupSize: 16)
    pass.targets.ignore = ["l.0.q"]
    let context = PassContext(interpreter: Interpreter(pool: pool))
    try pass.validate(for: graph)
    var worker = try pass.begin(on: graph, in: context)
    #expect(worker.plan.count == 1)
    for block in graph.blocks { try worker.apply(to: block, of: &graph, in: context) }
    #expect(worker.record.pass == "mse" && worker.record.layers.map(\.module) == ["l.0.down"])
    #expect(worker.record.layers.first?.weights == 48 * 48)
    let stored = try graph.blocks.flatMap { graph.linears(of: $0) }.map { try graph[$0.1].load() }
    let kinds = stored.map { weight in
      if case .quantized(let tensor) = weight { tensor.scheme.name } else { "dense" }
    }
    #expect(kinds == ["dense", "W3A16 g16"])
  }
}
