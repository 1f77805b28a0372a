import Calibration
import Compression
import Diagnostics
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph

/// Calibration over a whole run: the windows, their activations in front of the block at work, and what the output feels of every layer.
final class CalibrationWork {
  let selection: CalibrationSelection
  private let run: CompressionRun
  private let graph: ModelGraph
  private let needs: Set<PassNeed>
  private var stream: CalibrationStream?
  private var sensitivity: OutputSensitivity?
  private let spill: URL
  private let material: CalibrationMaterial?

  /// Reads and tokenizes the text and chooses its windows.
  /// - Parameters:
  ///   - graph: the model that passes begin on.
  ///   - needs: what is asked of it; nil for what the recipe's passes ask.
  ///   - material: what another run over the same model has found, or is given for others to use.
  init(
    _ plan: CalibrationPlan, for run: CompressionRun, graph: ModelGraph, needs: Set<PassNeed>? = nil,
    sharing material: CalibrationMaterial? = nil, spillingTo directory: URL
  ) throws {
    self.run = run
    self.graph = graph
    self.material = material
    spill = directory
    self.needs = needs ?? run.recipe.needs
    if let known = material?.selection {
      selection = known
      return
    }
    let evaluator = Evaluator(interpreter: run.interpreter, progress: run.progress).limited(to: run.settings.maximumMemory, batch: nil)
    selection = try plan.selection(of: run.model, graph: graph, evaluator: evaluator, seed: run.recipe.seed)
    material?.selection = selection
  }

  /// Bytes of the activations that a run saves in front of the block of that index; nil where nothing more is calibrated.
  func savedByteCount(at index: Int) -> Int? {
    if needs.subtracting([.inputErrors, .training]).isEmpty || !graph.blocks.indices.contains(index) { return nil }
    return CalibrationStream.savedByteCount(windows: selection.windows, of: graph, needs: needs, position: index)
  }

  /// Gets ready to work on the block of that index: from the start, or from what an earlier run saved.
  func begin(at index: Int, restoring file: URL?) throws {
    guard savedByteCount(at: index) != nil else { return }
    let limit = run.settings.maximumMemory.map { $0 / 3 } ?? 512 << 20
    let stream = try CalibrationStream(
      windows: selection.windows, of: graph, interpreter: run.interpreter, needs: needs, memoryLimit: limit, spillingTo: spill)
    if let file { try stream.restore(from: file, position: index) }
    self.stream = stream
    guard needs.contains(.gradients) else { return }
    if let known = material?.sensitivity {
      sensitivity = known
      return
    }
    sensitivity = try OutputSensitivity.measure(stream, seed: run.recipe.seed, spillingTo: spill, progress: run.progress)
    if material?.sharesSensitivity == true { material?.sensitivity = sensitivity }
  }

  /// What int8 inputs do to every layer; nil when no pass asks.
  func inputErrors() throws -> InputErrors? {
    guard needs.contains(.inputErrors) else { return nil }
    let tokens = min(selection.windows.tokenCount, InputErrors.mostTokens)
    return try WorkMeter("Measuring activations", blocksOf: graph, tokens: tokens, runs: 4, progress: run.progress).run { done in
      try InputErrors.measure(
        graph, under: run.recipe.blockPasses, windows: selection.windows,
        in: PassContext(interpreter: run.interpreter, seed: run.recipe.seed), spillingTo: spill, progress: done)
    }
  }

  /// How many streams of activations go through each block: one, and the uncompressed model's where passes compare.
  var streamCount: Int { needs.subtracting([.inputErrors, .training]).isEmpty ? 0 : needs.contains(.referenceActivations) ? 2 : 1 }

  /// What passes see in front of this block.
  func calibration(for block: Block, at index: Int) -> BlockCalibration? {
    stream?.calibration(for: block, at: index, sensitivity: sensitivity)
  }

  func advance(past block: Block, in graph: ModelGraph) throws { try stream?.advance(past: block, in: graph) }

  /// Whether the activations are those of one place of the model: a stop in the middle of a block leaves them between two.
  var isConsistent: Bool { stream?.isConsistent ?? true }

  /// Saves the activations in front of the block of that index, where they stand now.
  func save(to url: URL, at index: Int) throws {
    if savedByteCount(at: index) != nil { try stream?.save(to: url) }
  }
}
