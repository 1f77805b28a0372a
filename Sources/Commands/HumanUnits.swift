import ArgumentParser
import Foundation

/// Figures as people write and read them.
enum HumanUnits {
  static func time(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e12 else { return "?" }
    if seconds < 10 { return String(format: "%.1f s", max(0, seconds)) }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    if whole < 86_400 { return "\(whole / 3600) h \(whole % 3600 / 60) min" }
    return "\(whole / 86_400) d \(whole % 86_400 / 3600) h"
  }

  /// 340 bytes, 12.3 kB, 1.34 GB.
  static func bytes(_ count: Int) -> String {
    let units: [(name: String, size: Double)] = [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)]
    guard let unit = units.last(where: { abs(Double(count)) >= $0.size }) else { return "\(count) bytes" }
    let value = Double(count) / unit.size
    return String(format: abs(value) < 10 ? "%.2f" : abs(value) < 100 ? "%.1f" : "%.0f", value) + " " + unit.name
  }
}

/// A count as people write it: 100000, 100k, 1.5M, 64Ki.
struct Count: ExpressibleByArgument {
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
}

/// A length of time as people write it: 90s, 5min, 1h30m, 2d; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument {
  let seconds: Double

  init?(argument: String) {
    let units: [String: Double] = [
      "ms": 1e-3, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400,
    ]
    var rest = argument.lowercased().filter { $0 != " " }[...]
    if let number = Double(rest) {
      guard number.isFinite, number >= 0 else { return nil }
      seconds = number
      return
    }
    var (sum, least) = (0.0, Double.infinity)
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      let unit = rest.dropFirst(digits.count).prefix { $0.isLetter }
      // From the largest unit to the smallest, each once: 30m1h is a slip.
      guard let number = Double(digits), let size = units[String(unit)], size < least else { return nil }
      sum += number * size
      least = size
      rest = rest.dropFirst(digits.count + unit.count)
    }
    guard sum.isFinite, !argument.isEmpty else { return nil }
    seconds = sum
  }
}
