import ArgumentParser

/// A length of time as people write it: 90s, 5min, 1h30m, 2d; a bare number is seconds.
struct TimeSpan: WrittenValue {
  static let forms = "90s, 30min, 1h30m or 2d"

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
