import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph

/// How much a layer changes what passes through it: the mean over tokens of 1 − cos of the state before and behind it (block influence, ShortGPT,
/// Men et al. 2024).
package enum LayerInfluence {
  /// - Returns: for every layer, by its block.
  package static func measure(
    _ graph: ModelGraph, windows: [[Int32]], interpreter: Interpreter, memoryLimit: Int, spillingTo directory: URL,
    progress: (_ done: Int, _ total: Int) throws -> Void
  ) throws -> [Int: Double] {
    let stream = try CalibrationStream(
      windows: windows, of: graph, interpreter: interpreter, needs: [.calibration], memoryLimit: memoryLimit, spillingTo: directory)
    var influences: [Int: Double] = [:]
    for (index, block) in graph.blocks.enumerated() where block.kind != .head {
      try Interruption.check()
      try progress(index, graph.blocks.count)
      if let calibration = stream.calibration(for: block, at: index, sensitivity: nil) {
        let weights = try LoadedBlock(block, of: graph, experts: .passing)
        var (sum, tokens) = (0.0, 0)
        for batch in 0..<calibration.batchCount {
          let input = try calibration.input(batch)
          let output = try interpreter.run(block, of: graph, weights: weights, input: input, sequences: calibration.layout(of: batch))
          let width = Int64(input.columns)
          for row in 0..<input.rows {
            let (before, behind) = (input.row(row), output.row(row))
            let lengths = (dso_sum_squares(before, width) * dso_sum_squares(behind, width)).squareRoot()
            sum += lengths == 0 ? 0 : 1 - dso_inner_product(before, behind, width) / lengths
          }
          tokens += input.rows
        }
        guard sum.isFinite else {
          throw graph.notFinite(upTo: block)
            ?? CompressionError(
              block.name, "leaves values that are no numbers, or too large to be squared", remedy: "repair the checkpoint", kind: .badData)
        }
        influences[index] = sum / Double(max(1, tokens))
      }
      try stream.advance(past: block, in: graph)
    }
    return influences
  }
}
