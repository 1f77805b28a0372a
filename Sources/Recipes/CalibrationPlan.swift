import Calibration
import Diagnostics
import Evaluation
import Formats
import Foundation
import ModelGraph
import StructuredData

/// The text that a recipe's passes are calibrated on, as the recipe writes it.
public struct CalibrationPlan: Sendable, Hashable {
  /// `.txt`, or `.jsonl` with a "text" member a line, a path from the working directory unless it is absolute; or `demo`, the text that ships.
  public var text: String
  /// Windows of text.
  public var samples = defaultSamples
  /// Tokens a window, at most the model's maximum; 0 for 512, or the model's maximum when that is less.
  public var sequenceLength = 0
  public var strategy = CalibrationStrategy.random

  public init(text: String, samples: Int = defaultSamples, sequenceLength: Int = 0, strategy: CalibrationStrategy = .random) {
    self.text = text
    self.samples = samples
    self.sequenceLength = sequenceLength
    self.strategy = strategy
  }

  /// Windows of text when no number is given.
  public static let defaultSamples = 128

  /// Whether it is the text that ships.
  var isDemo: Bool { text == DemoModel.name }
  var file: URL { isDemo ? DemoModel.calibrationText : URL(fileURLWithPath: text) }

  /// The plan with the length that its windows have on a model.
  /// - Throws: when the model has fewer positions.
  func resolved(for model: ModelGraph) throws -> CalibrationPlan {
    guard sequenceLength <= model.maximumPositions else {
      throw RecipeError(
        "--sequence-length", "of \(sequenceLength) is beyond the model's \(model.maximumPositions) positions",
        remedy: "use at most \(model.maximumPositions)", kind: .usage)
    }
    var plan = self
    if sequenceLength == 0 { plan.sequenceLength = min(512, model.maximumPositions) }
    return plan
  }

  func settings(seed: UInt64) -> CalibrationSettings {
    CalibrationSettings(windows: samples, sequenceLength: sequenceLength, strategy: strategy, seed: seed)
  }

  /// Draws windows of the text for a model.
  /// - Parameters:
  ///   - settings: what to draw; nil for what the plan says.
  ///   - graph: the model that grades the candidates, when that is asked for.
  func selection(
    _ settings: CalibrationSettings? = nil, of model: ModelBundle, graph: ModelGraph, evaluator: Evaluator, seed: UInt64
  ) throws -> CalibrationSelection {
    let tokenizer = try model.tokenizer()
    let text = try CalibrationText(contentsOf: file)
    let settings = try settings ?? resolved(for: graph).settings(seed: seed)
    return try text.selection(settings, for: graph, evaluator: evaluator) { tokenizer.encode($0, addSpecialTokens: $1) }
  }

  /// One line of YAML, which is JSON too.
  var json: JSONValue {
    [
      "text": .string(text), "samples": .integer(Int64(samples)), "sequence-length": .integer(Int64(sequenceLength)),
      "sampling": .string(strategy.rawValue),
    ]
  }

  init(json: JSONValue, of document: RecipeDocument) throws {
    func refuse(_ key: String?, _ problem: String, remedy: String = "") -> RecipeError {
      let path = ValuePath([.key("calibration")] + (key.map { [ValuePath.Step.key($0)] } ?? []))
      return document.refusal(path, path.text, problem, remedy: remedy)
    }
    guard let object = json.object else { throw refuse(nil, "is not a mapping", remedy: "write {text: FILE, samples: 128}") }
    let known = ["text", "samples", "sequence-length", "sampling"]
    for key in object.keys where !known.contains(key) {
      let list = "known are \(known.joined(separator: ", "))"
      throw refuse(key, "is not a key of it", remedy: NameSuggestion.remedy(for: key, among: known, known: list))
    }
    guard let text = object["text"]?.string, !text.isEmpty else { throw refuse(nil, "names no text", remedy: "write text: FILE") }
    self.init(text: text)
    for (key, path) in [("samples", \CalibrationPlan.samples), ("sequence-length", \CalibrationPlan.sequenceLength)] {
      guard let value = object[key] else { continue }
      let isSamples = key == "samples"
      guard let number = value.integer, let count = Int(exactly: number), (isSamples ? 1 : 0)...(1 << 20) ~= count, isSamples || count != 1
      else {
        let least = isSamples ? "from 1" : "from 2 (or 0 for the default)"
        throw refuse(key, "is \(value.text(pretty: false))", remedy: "use a whole number \(least) to \(1 << 20)")
      }
      self[keyPath: path] = count
    }
    if let value = object["sampling"] {
      guard let strategy = value.string.flatMap(CalibrationStrategy.init(rawValue:)) else {
        let names = CalibrationStrategy.allCases.map(\.rawValue)
        throw refuse(
          "sampling", "is \(value.text(pretty: false))",
          remedy: NameSuggestion.remedy(for: value.string ?? "", among: names, known: "use \(names.joined(separator: " or "))"))
      }
      self.strategy = strategy
    }
  }
}
