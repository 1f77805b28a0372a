import ArgumentParser

/// A share: 0.01 or 1%.
struct Share: WrittenValue {
  static let forms = "0.01 or 1%"

  let value: Double

  init?(argument: String) {
    let isPercent = argument.hasSuffix("%")
    guard let value = Double(isPercent ? String(argument.dropLast()) : argument), value.isFinite else { return nil }
    self.value = isPercent ? value / 100 : value
  }
}
