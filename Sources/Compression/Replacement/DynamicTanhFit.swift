import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph

extension ModuleReplacement {
  /// Puts other norms in the place of those of the residual stream, with the gains that are there. What is fitted to text has no values yet.
  package func replaceNorms(of graph: inout ModelGraph) throws {
    let kind: StreamNormalization
    switch normalization {
    case .keep: return
    case .layerNorm: kind = .layerNorm
    case .dynamicTanh: kind = .dynamicTanh
    }
    for block in graph.blocks {
      for node in graph.streamNorms(of: block) { try graph.replaceNorm(computing: node.output, by: kind, nil) }
    }
    try graph.verify()
  }
}

/// Dynamic tanh in the place of RMS norms, fitted to what these read: for each the steepness of a few, and for each feature the straight line, that come
/// nearest to what the norm gives on the text (least squares, weighed by the squares of the gains). Norms are fitted block by block, each
/// on what the replaced blocks before it leave.
package enum DynamicTanhFit {
  /// Rows of a batch that a norm is fitted to, at most.
  private static let sampledRows = 128
  /// Rows in all.
  private static let rowLimit = 1024

  package static func fitted(
    _ source: ModelGraph, windows: [[Int32]], interpreter: Interpreter, memoryLimit: Int, spillingTo directory: URL,
    progress: (_ done: Int, _ total: Int) throws -> Void
  ) throws -> ModelGraph {
    let stream = try CalibrationStream(
      windows: windows, of: source, interpreter: interpreter, needs: [.calibration], memoryLimit: memoryLimit, spillingTo: directory)
    var graph = source
    for (index, block) in source.blocks.enumerated() {
      try Interruption.check()
      try progress(index, source.blocks.count)
      if let calibration = stream.calibration(for: block, at: index, sensitivity: nil) {
        let norms = source.streamNorms(of: block)
        let inputs = try sampled(Set(norms.map { $0.inputs[0] }), calibration, graph, interpreter)
        for node in norms {
          guard let rows = inputs[node.inputs[0]], case .rmsNorm(let epsilon, _) = node.operation else { continue }
          let gain = try Matrix(source[node.parameters[0]])
          guard let values = fit(rows, gain: gain.values(ofRow: 0), epsilon) else {
            throw source.notFinite(upTo: block)
              ?? CompressionError(
                node.scope, "reads values that no curve fits: zeros alone, or numbers far out of range",
                remedy: "repair the checkpoint, or calibrate on other text", kind: .badData)
          }
          try graph.replaceNorm(computing: node.output, by: .dynamicTanh, values)
        }
      }
      try stream.advance(past: block, in: graph)
    }
    try graph.verify()
    return graph
  }

  /// Rows of some values of a block, from all over the text.
  private static func sampled(
    _ values: Set<ValueID>, _ calibration: BlockCalibration, _ graph: ModelGraph, _ interpreter: Interpreter
  ) throws -> [ValueID: Matrix] {
    var pieces: [ValueID: [Matrix]] = [:]
    let weights = try LoadedBlock(calibration.block, of: graph)
    for batch in 0..<min(calibration.batchCount, rowLimit / sampledRows) {
      try Interruption.check()
      let found = try interpreter.values(
        values, of: calibration.block, in: graph, weights: weights, input: calibration.input(batch),
        sequences: calibration.layout(of: batch))
      for (value, matrix) in found { pieces[value, default: []].append(ExpertTraits.sample(matrix, rows: sampledRows)) }
    }
    return pieces.mapValues { pieces in
      let result = Matrix(rows: pieces.reduce(0) { $0 + $1.rows }, columns: pieces[0].columns)
      var row = 0
      for piece in pieces {
        result.row(row).update(from: piece.pointer, count: piece.rows * piece.columns)
        row += piece.rows
      }
      return result
    }
  }

  /// Nil for rows that are not finite, and for numbers that no curve is near.
  private static func fit(_ x: Matrix, gain: [Float], _ epsilon: Float) -> ModelGraph.NormValues? {
    let width = x.columns
    let lengths = (0..<x.rows).map { row in
      (dso_sum_squares(x.row(row), Int64(width)) / Double(width) + Double(epsilon)).squareRoot()
    }
    guard let typical = lengths.sorted().dropFirst(lengths.count / 2).first, typical.isFinite, lengths.allSatisfy({ $0 > 0 }) else {
      return nil
    }
    let (factors, weights) = (lengths.map { Float(1 / $0) }, gain.map { $0 * $0 })
    var best: (error: Double, values: ModelGraph.NormValues)?
    for step in 0..<12 {
      // From nearly straight to nearly a step.
      let steepness = Float(0.02 * exp2(Double(step) * 0.7) / typical)
      var (slopes, intercepts) = (gain, gain)
      let error = dso_fit_dynamic_tanh(
        x.pointer, Int64(width), factors, weights, Int64(x.rows), Int64(width), steepness, &slopes, &intercepts)
      guard error.isFinite, error < best?.error ?? .infinity else { continue }
      best = (
        error, .init(gain: zip(slopes, gain).map(*), bias: zip(intercepts, gain).map(*), steepness: steepness)
      )
    }
    return best?.values
  }
}
