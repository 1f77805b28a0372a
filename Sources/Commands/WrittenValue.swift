import ArgumentParser

/// A value that has forms of its own: with a unit, or made of parts.
protocol WrittenValue: ExpressibleByArgument {
  /// What to write, for whoever wrote something else.
  static var forms: String { get }
}

extension WrittenValue {
  /// The value, for an option's `transform`.
  static func read(_ text: String) throws -> Self {
    guard let value = Self(argument: text) else { throw ValidationError("write \(forms)") }
    return value
  }
}
