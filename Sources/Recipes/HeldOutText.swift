import Calibration
import Diagnostics
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// Windows of the calibration text that nothing was calibrated on, to choose by without looking at the evaluation text.
struct HeldOutText {
  let text: EvaluationText
  let warnings: [String]
  /// False where the text was too short to hold any of it out: then the windows are those that were calibrated on.
  var isHeldOut: Bool { warnings.isEmpty }

  /// Tokens whose run identifies a place of a text.
  private static let run = 12
  private static let leastWindows = 8

  /// - Parameter windows: what was calibrated on.
  init(for run: CompressionRun, calibratedOn windows: [[Int32]]) throws {
    guard let plan = run.recipe.calibration, let length = windows.first?.count else {
      throw RecipeError("calibration", "has no windows to measure on", kind: .usage)
    }
    let wanted = min(256, max(32, windows.count / 2))
    // Another seed draws other places; some of them meet the first ones.
    let settings = CalibrationSettings(
      windows: wanted * 2, sequenceLength: length, strategy: .random, seed: SeededRandom.value(seed: run.recipe.seed, index: 0x48454C44))
    let drawn = try plan.selection(
      settings, of: run.model, graph: run.model.graph, evaluator: Evaluator(interpreter: run.interpreter, progress: nil),
      seed: run.recipe.seed)
    var seen = Set<UInt64>()
    for window in windows { seen.formUnion(Self.runs(of: window)) }
    let fresh = drawn.windows.filter { window in
      let runs = Self.runs(of: window)
      return runs.count { seen.contains($0) } * 4 <= runs.count
    }
    let name = "held-out calibration text"
    if fresh.count >= Self.leastWindows {
      text = try EvaluationText(name: name, tokens: Array(fresh.prefix(wanted).joined()), context: length)
      warnings = []
    } else {
      text = try EvaluationText(name: name, tokens: Array(windows.joined()), context: length)
      warnings = [
        "\(plan.file.lastPathComponent) is too short to hold any of it out: bits were chosen by what the calibration windows show"
      ]
    }
  }

  /// A number for every run of tokens of a window.
  private static func runs(of window: [Int32]) -> [UInt64] {
    guard window.count >= run else { return [] }
    return (0...window.count - run).map { start in
      window[start..<start + run].reduce(0xCBF2_9CE4_8422_2325) { (hash: UInt64, token) in
        (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x100_0000_01B3
      }
    }
  }

  /// The mean KL divergence of a model from its source, in nats per token.
  func divergence(of model: ModelGraph, from source: ModelGraph, for run: CompressionRun) throws -> Double {
    let evaluator = Evaluator(interpreter: run.interpreter, progress: run.progress).limited(to: run.settings.maximumMemory, batch: nil)
    return try evaluator.accuracy(of: model, reference: source, on: text).klDivergence?.mean ?? .infinity
  }
}
