import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// A decoder whose projections all get adapters, and what its layers come to.
struct LowRankFixture {
  let pool: ThreadPool
  let interpreter: Interpreter
  var decoder = DecoderFixture(hasBiases: true, hasHeadNorms: true)

  init(threads: Int = 2, type: DataType = .float32) {
    pool = ThreadPool(threads: threads)
    interpreter = Interpreter(pool: pool)
    decoder.type = type
  }

  /// γ is 1.5.
  static func adaptation(
    _ start: LowRankAdaptation.Start, rank: Int = 6, magnitude: Bool = false, targets: [ModulePattern] = [LowRankAdaptation.allLayers]
  ) -> LowRankAdaptation {
    LowRankAdaptation(rank: rank, alpha: 1.5 * Float(rank), magnitude: magnitude, start: start, targets: targets)
  }

  func quantizer(_ pass: some LayerwiseQuantization, of graph: ModelGraph) throws -> LayerQuantizer {
    try LayerQuantizer(pass, of: graph, in: PassContext(interpreter: interpreter))
  }

  /// The logits of a graph whose norms, if any, are brought up to date, with other values for some parameters.
  func logits(_ graph: ModelGraph, _ adapters: [AttachedAdapter] = [], _ values: [ParameterID: Matrix] = [:]) throws -> [Float] {
    var graph = graph
    for (id, matrix) in values { try graph.replace(id, with: .dense(matrix.tensor(graph[id].shape))) }
    for adapter in adapters {
      guard let id = adapter.norm else { continue }
      let norms = Matrix(rows: 1, columns: graph[adapter.weight].shape[0])
      try AdaptedWeight(
        graph[adapter.weight], down: Matrix(graph[adapter.down]), up: Matrix(graph[adapter.up]), scaling: adapter.scaling
      ).norms(into: norms, pool: pool)
      try graph.replace(id, with: .dense(norms.tensor(graph[id].shape)))
    }
    return try decoder.logits(graph, interpreter)
  }

  /// The largest difference as a share of the largest value.
  static func difference(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count, !a.isEmpty else { return .infinity }
    return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / b.reduce(0) { max($0, abs($1)) }
  }

  /// `W + γ·B·A` of an attached adapter.
  func whole(_ adapter: AttachedAdapter, in graph: ModelGraph) throws -> Matrix {
    try AdaptedWeight(
      graph[adapter.weight], down: Matrix(graph[adapter.down]), up: Matrix(graph[adapter.up]), scaling: adapter.scaling
    ).merged(pool: pool)
  }

  static func norm(_ matrix: Matrix) -> Double { matrix.squaredNorm.squareRoot() }
}
