import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph

/// How much each expert matters: by the router-weighted size of what it gives to the tokens that are sent to it (REAP, Lasby et al. 2025), or by
/// the size of its weights.
package enum ExpertScores {
  /// The mean over the tokens that an expert gets of its weight among the token's experts times the length of what it computes; 0 for an
  /// expert that gets none.
  package static func measure(
    _ graph: ModelGraph, windows: [[Int32]], interpreter: Interpreter, memoryLimit: Int, spillingTo directory: URL,
    progress: (_ done: Int, _ total: Int) throws -> Void
  ) throws -> [ValueID: [Double]] {
    let stream = try CalibrationStream(
      windows: windows, of: graph, interpreter: interpreter, needs: [.calibration], memoryLimit: memoryLimit, spillingTo: directory)
    var sums: [ValueID: [Double]] = [:]
    var tokens: [ValueID: [Int]] = [:]
    for router in graph.routers {
      sums[router.output] = Array(repeating: 0, count: router.routing.experts)
      tokens[router.output] = Array(repeating: 0, count: router.routing.experts)
    }
    for (index, block) in graph.blocks.enumerated() where block.kind != .head {
      try Interruption.check()
      try progress(index, graph.blocks.count)
      if let calibration = stream.calibration(for: block, at: index, sensitivity: nil), graph.routers.contains(where: { $0.block == index })
      {
        try calibration.forward(in: graph, showsOutputs: true) { _, run in
          guard graph[run.node.parameters[0]].role == .expertDown, let route = graph.expert(of: run.node), let routed = run.routed else {
            return
          }
          let shares = routed.shares(of: route.expert)
          for row in 0..<run.output.rows {
            let length = dso_sum_squares(run.output.row(row), Int64(run.output.columns)).squareRoot()
            sums[route.routing]?[route.expert] += Double(shares[row]) * length
          }
          tokens[route.routing]?[route.expert] += run.output.rows
        }
      }
      try stream.advance(past: block, in: graph)
    }
    return try checked(
      sums.reduce(into: [:]) { result, entry in
        result[entry.key] = zip(entry.value, tokens[entry.key] ?? []).map { $0 / Double(max(1, $1)) }
      }, graph)
  }

  /// Scores that are not numbers would order experts by chance.
  private static func checked(_ scores: [ValueID: [Double]], _ graph: ModelGraph) throws -> [ValueID: [Double]] {
    for router in graph.routers {
      guard let expert = scores[router.output]?.firstIndex(where: { !$0.isFinite }) else { continue }
      throw graph.notFinite(upTo: graph.blocks[router.block])
        ?? CompressionError(
          "expert \(expert) of layer \(router.block - 1)", "computes numbers far out of range", remedy: "repair the checkpoint",
          kind: .badData)
    }
    return scores
  }

  /// The sum over an expert's weights of their magnitudes or squares.
  package static func ofWeights(_ graph: ModelGraph, importance: ChannelImportance) throws -> [ValueID: [Double]] {
    var sums: [ValueID: [Double]] = [:]
    for router in graph.routers { sums[router.output] = Array(repeating: 0, count: router.routing.experts) }
    for block in graph.blocks {
      for (node, id) in graph.linears(of: block) {
        guard let route = graph.expert(of: node) else { continue }
        try Interruption.check()
        let matrix = try Matrix(graph[id])
        graph[id].releasePages()
        let count = Int64(matrix.rows * matrix.columns)
        let sum = importance == .l2 ? dso_sum_squares(matrix.pointer, count) : dso_sum_magnitudes(matrix.pointer, count)
        sums[route.routing]?[route.expert] += sum
      }
    }
    return try checked(sums, graph)
  }
}
