import Calibration
import Diagnostics
import Foundation
import StructuredData

/// The text that a recipe's passes are calibrated on, as the recipe writes it.
public struct CalibrationPlan: Sendable, Hashable {
  /// `.txt`, or `.jsonl` with a "text" member a line; a path from the working directory unless it is absolute.
  public var text: String
  /// Windows of text.
  public var samples = 128
  /// Tokens a window, at most the model's maximum; 0 for 512, or the model's maximum when that is less.
  public var sequenceLength = 0
  public var strategy = CalibrationStrategy.random

  public init(text: String, samples: Int = 128, sequenceLength: Int = 0, strategy: CalibrationStrategy = .random) {
    self.text = text
    self.samples = samples
    self.sequenceLength = sequenceLength
    self.strategy = strategy
  }

  var file: URL { URL(fileURLWithPath: text) }

  func settings(maximumPositions: Int, seed: UInt64) -> CalibrationSettings {
    CalibrationSettings(
      windows: samples, sequenceLength: sequenceLength > 0 ? sequenceLength : min(512, maximumPositions), strategy: strategy, seed: seed)
  }

  /// One line of YAML, which is JSON too.
  var json: JSONValue {
    [
      "text": .string(text), "samples": .integer(Int64(samples)), "sequence-length": .integer(Int64(sequenceLength)),
      "sampling": .string(strategy.rawValue),
    ]
  }

  init(json: JSONValue, file: String) throws {
    func refuse(_ problem: String, remedy: String = "") -> RecipeError {
      RecipeError("\(file): calibration", problem, remedy: remedy, kind: .badConfiguration)
    }
    guard let object = json.object else { throw refuse("is not a mapping", remedy: "write {text: FILE, samples: 128}") }
    let known = ["text", "samples", "sequence-length", "sampling"]
    for key in object.keys where !known.contains(key) {
      throw refuse("has the unknown key \"\(key)\"", remedy: "known are \(known.joined(separator: ", "))")
    }
    guard let text = object["text"]?.string, !text.isEmpty else { throw refuse("names no text", remedy: "write text: FILE") }
    self.init(text: text)
    for (key, path) in [("samples", \CalibrationPlan.samples), ("sequence-length", \CalibrationPlan.sequenceLength)] {
      guard let value = object[key] else { continue }
      guard let number = value.integer, let count = Int(exactly: number), (key == "samples" ? 1 : 0)...(1 << 20) ~= count else {
        throw refuse("\(key) is \(value.text(pretty: false))", remedy: "use a whole number up to \(1 << 20)")
      }
      self[keyPath: path] = count
    }
    if let value = object["sampling"] {
      guard let strategy = value.string.flatMap(CalibrationStrategy.init(rawValue:)) else {
        throw refuse(
          "sampling is \(value.text(pretty: false))",
          remedy: "use \(CalibrationStrategy.allCases.map(\.rawValue).joined(separator: " or "))")
      }
      self.strategy = strategy
    }
  }
}
