import ArgumentParser
import Foundation

/// A count as people write it: 100000, 100k, 1.5M, 64Ki.
struct Count: WrittenValue {
  static let forms = "a whole number: 20000, 20k, 1.5M or 64Ki"

  let value: Int

  init(_ value: Int) { self.value = value }

  init?(argument: String) {
    let units: [(String, Double)] = [("Ki", 1024), ("Mi", 1_048_576), ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("B", 1e9)]
    let text = argument.replacingOccurrences(of: "_", with: "")
    let unit = units.first { text.hasSuffix($0.0) }
    guard let unit else {
      guard let value = Int(text) else { return nil }
      self.value = value
      return
    }
    // Half a thing is none: 1.5k is 1500, 1.5 is a mistake.
    guard let number = Double(text.dropLast(unit.0.count)), number.isFinite else { return nil }
    let value = number * unit.1
    // 2.3k is 2300, whatever binary fractions make of it.
    guard abs(value) < 1e15, abs(value - value.rounded()) < 1e-6 * max(1, abs(value) * 1e-6) else { return nil }
    self.value = Int(value.rounded())
  }

  var defaultValueDescription: String { "\(value)" }

  /// The count alone, for an option's `transform`.
  static func number(_ text: String) throws -> Int { try read(text).value }

  /// Tokens of a window: one to begin with, and one to predict.
  static func windowLength(_ text: String) throws -> Int {
    let length = try number(text)
    guard length >= 2 else { throw ValidationError("a window has at least 2 tokens") }
    return length
  }
}
