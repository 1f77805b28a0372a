import Diagnostics
import Execution
import Foundation
import ModelGraph

/// What the experts of one router are compared by, and how often tokens go to them.
package struct ExpertTraits: Sendable {
  /// A row for each expert.
  package var features: [[Float]]
  /// Tokens that came to each; nil where there was no text.
  package var tokens: [Int]?

  /// By the experts' rows of the router, each of length 1: experts that similar tokens go to are taken for similar ones (Li et al., MC-SMoE, 2023).
  package static func ofRouters(_ graph: ModelGraph) throws -> [ValueID: ExpertTraits] {
    var result: [ValueID: ExpertTraits] = [:]
    for router in graph.routers {
      guard let node = graph.nodes[graph.blocks[router.block].nodes].first(where: { $0.output == router.output }),
        let linear = graph.producer(of: node.inputs[0]), let weight = linear.parameters.first
      else { continue }
      let rows = try Matrix(graph[weight])
      graph[weight].releasePages()
      result[router.output] = ExpertTraits(
        features: (0..<rows.rows).map { row in
          let values = rows.values(ofRow: row)
          let length = values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
          return values.map { length > 0 ? Float(Double($0) / length) : 0 }
        })
      try result[router.output]?.requireFinite(graph.blocks[router.block], of: graph)
    }
    return result
  }

  /// Rows of a batch that every expert is tried on, at most.
  private static let sampledRows = 256

  /// By the mean of what each expert gives for tokens of the layer, whichever experts these go to (Chen et al., HC-SMoE, 2024).
  package static func measure(
    _ graph: ModelGraph, windows: [[Int32]], interpreter: Interpreter, memoryLimit: Int, spillingTo directory: URL,
    progress: (_ done: Int, _ total: Int) throws -> Void
  ) throws -> [ValueID: ExpertTraits] {
    let stream = try CalibrationStream(
      windows: windows, of: graph, interpreter: interpreter, needs: [.calibration], memoryLimit: memoryLimit, spillingTo: directory)
    var result: [ValueID: ExpertTraits] = [:]
    for (index, block) in graph.blocks.enumerated() where block.kind != .head {
      try Interruption.check()
      try progress(index, graph.blocks.count)
      if let calibration = stream.calibration(for: block, at: index, sensitivity: nil) {
        for router in graph.routers where router.block == index {
          let traits = try measure(router.output, router.routing, calibration, graph, interpreter)
          try traits.requireFinite(block, of: graph)
          result[router.output] = traits
        }
      }
      try stream.advance(past: block, in: graph)
    }
    return result
  }

  /// Between features that are no numbers there are no distances: experts would be merged by chance.
  private func requireFinite(_ block: Block, of graph: ModelGraph) throws {
    guard !features.allSatisfy({ $0.allSatisfy(\.isFinite) }) else { return }
    throw graph.notFinite(upTo: block)
      ?? CompressionError(
        block.name, "has experts that compute numbers far out of range", remedy: "repair the checkpoint", kind: .badData)
  }

  private static func measure(
    _ routing: ValueID, _ kind: Routing, _ calibration: BlockCalibration, _ graph: ModelGraph, _ interpreter: Interpreter
  ) throws -> ExpertTraits {
    let nodes = graph.nodes[calibration.block.nodes]
    guard let route = nodes.first(where: { $0.output == routing }),
      let combine = nodes.first(where: { if case .combine = $0.operation { $0.inputs[0] == routing } else { false } })
    else { throw CompressionError(calibration.block.name, "has a router without experts", kind: .badData) }
    var samples: [Matrix] = []
    var tokens = [Int](repeating: 0, count: kind.experts)
    try calibration.forward(in: graph, showsOutputs: true) { _, run in
      if run.node.output == route.inputs[0] { samples.append(sample(run.input, rows: sampledRows)) }
      guard graph[run.node.parameters[0]].role == .expertDown, let place = graph.expert(of: run.node), place.routing == routing else {
        return
      }
      tokens[place.expert] += run.output.rows
    }
    let features = try (0..<kind.experts).map { index in
      try Interruption.check()
      guard let expert = try LoadedExpert(index, of: routing, in: calibration.block, of: graph) else {
        throw CompressionError(calibration.block.name, "lacks its expert \(index)", kind: .badData)
      }
      var sums = [Double](repeating: 0, count: graph[combine.output].width ?? 0)
      for rows in samples {
        let output = try expert.value(combine.inputs[index + 1], from: rows, by: interpreter)
        for row in 0..<output.rows {
          for (column, value) in output.values(ofRow: row).enumerated() { sums[column] += Double(value) }
        }
      }
      let count = Double(max(1, samples.reduce(0) { $0 + $1.rows }))
      return sums.map { Float($0 / count) }
    }
    return ExpertTraits(features: features, tokens: tokens)
  }

  /// Rows evenly spread over a batch.
  static func sample(_ x: Matrix, rows limit: Int) -> Matrix {
    let count = min(limit, x.rows)
    let result = Matrix(rows: count, columns: x.columns)
    for row in 0..<count { result.row(row).update(from: x.row(row * x.rows / count), count: x.columns) }
    return result
  }
}
