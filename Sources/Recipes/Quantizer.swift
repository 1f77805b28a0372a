import Architectures
import Compression
import Diagnostics
import Foundation
import Reporting
import Tensors

/// The front door of the library:
///
///     try await Quantizer.load("deepseek-7b").quantize(method: .int8, groupSize: 128).save(to: "deepseek-7b-int8")
///
/// Loading opens files and builds the graph; `quantize` and `apply` note what is to be done; `save` does it, block by block.
public struct Quantizer: Sendable {
  public let model: ModelBundle
  public private(set) var recipe: Recipe
  private var budget: BitBudget?
  private var evaluation: EvaluationSettings? = EvaluationSettings()
  private var threads: Int?
  private var progress: ProgressHandler?

  /// The usual widths by name.
  public enum Method: Sendable, Hashable {
    case int8, int6, int5, int4, int3, int2
    /// int8 weights and dynamic int8 activations.
    case w8a8

    var bits: Int {
      switch self {
      case .int8, .w8a8: 8
      case .int6: 6
      case .int5: 5
      case .int4: 4
      case .int3: 3
      case .int2: 2
      }
    }
  }

  /// Opens a model: a directory, a file, or `demo`.
  /// - Parameter families: families of the program's own, which are asked before those of the package.
  public static func load(_ model: String, families: [any Architecture.Type] = []) async throws -> Quantizer {
    Quantizer(model: try ModelBundle(opening: model, families: families), recipe: Recipe(passes: []))
  }

  /// Adds round-to-nearest quantization of all linear layers but the head.
  /// - Parameter groupSize: weights that share a scale; 0 for one per output channel; nil for 0 at 8 bits and 128 below.
  public func quantize(
    method: Method, groupSize: Int? = nil, asymmetric: Bool = false
  ) -> Quantizer {
    var pass = RoundToNearest(
      bits: method.bits, method: asymmetric ? .asymmetric : .symmetric, groupSize: groupSize ?? (method.bits == 8 ? 0 : 128))
    if method == .w8a8 { pass.targets.activations = .int8 }
    return apply(pass)
  }

  /// Adds any pass.
  public func apply(_ pass: some RecipePass) -> Quantizer {
    var copy = self
    copy.recipe.passes.append(pass)
    return copy
  }

  /// Gives text to the passes that need any.
  /// - Parameters:
  ///   - text: a `.txt` or `.jsonl` file, or `demo` for the text that ships.
  ///   - samples: windows of it.
  ///   - sequenceLength: tokens a window; 0 for 512, or the model's maximum when that is less.
  public func calibrate(on text: String, samples: Int = CalibrationPlan.defaultSamples, sequenceLength: Int = 0) -> Quantizer {
    var copy = self
    copy.recipe.calibration = CalibrationPlan(text: text, samples: samples, sequenceLength: sequenceLength)
    return copy
  }

  /// Chooses the bits of every layer for a budget, by measurement; takes text to calibrate on, and one pass that quantizes.
  public func chooseBits(for budget: BitBudget) -> Quantizer {
    var copy = self
    copy.budget = budget
    return copy
  }

  /// Chooses the text that the report is measured on; nil for no measurement.
  public func evaluate(on settings: EvaluationSettings?) -> Quantizer {
    var copy = self
    copy.evaluation = settings
    return copy
  }

  /// Chooses the container of the output.
  public func format(_ format: OutputFormat) -> Quantizer {
    var copy = self
    copy.recipe.format = format
    return copy
  }

  /// Limits the threads and receives progress.
  public func running(threads: Int? = nil, progress: ProgressHandler? = nil) -> Quantizer {
    var copy = self
    copy.threads = threads
    copy.progress = progress
    return copy
  }

  /// Runs the passes, writes the checkpoint, reads it again and measures it.
  /// - Returns: the report, which is also written into the output.
  @discardableResult
  public func save(to output: String, overwrite: Bool = false) async throws -> CompressionReport {
    try await save(to: URL(fileURLWithPath: output), overwrite: overwrite)
  }

  /// Runs the passes, writes the checkpoint, reads it again and measures it.
  /// - Returns: the report, which is also written into the output.
  @discardableResult
  public func save(to output: URL, overwrite: Bool = false) async throws -> CompressionReport {
    var settings = RunSettings(output: output, overwrite: overwrite)
    settings.evaluation = evaluation
    settings.threads = threads
    if let budget {
      return try BitAllocation(CompressionRun(model: model, recipe: recipe, settings: settings, progress: progress), budget: budget)
        .execute()
    }
    return try RecipeRun(model: model, recipe: recipe, settings: settings, progress: progress).execute()
  }
}
