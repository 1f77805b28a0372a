/// The text format of Prometheus, version 0.0.4: what a scrape reads.
enum PrometheusText {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  enum Kind: String, Sendable {
    case counter, gauge, summary
  }

  /// One line: a metric with its labels and its value. `suffix` is for parts of a summary.
  struct Sample: Sendable {
    var suffix = ""
    var labels: [(name: String, value: String)]
    var value: Double
  }

  /// All samples of one name, which stand together.
  struct Family: Sendable {
    let name: String
    let kind: Kind
    let help: String
    var samples: [Sample]
  }

  static func render(_ families: [Family]) -> String {
    var text = ""
    for family in families where !family.samples.isEmpty {
      if !family.help.isEmpty { text += "# HELP \(family.name) \(escapedHelp(family.help))\n" }
      text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
      for sample in family.samples {
        text += family.name + sample.suffix
        if !sample.labels.isEmpty {
          text += "{" + sample.labels.map { "\(labelName($0.name))=\"\(escapedLabel($0.value))\"" }.joined(separator: ",") + "}"
        }
        text += " \(number(sample.value))\n"
      }
    }
    return text
  }

  /// A name of letters, digits, `_` and `:` that no digit begins.
  static func metricName(_ label: String) -> String { name(label, allowsColon: true) }
  static func labelName(_ label: String) -> String { name(label, allowsColon: false) }

  private static func name(_ label: String, allowsColon: Bool) -> String {
    var result = ""
    for scalar in label.unicodeScalars {
      switch scalar {
      case "a"..."z", "A"..."Z", "_": result.unicodeScalars.append(scalar)
      case "0"..."9":
        if result.isEmpty { result = "_" }
        result.unicodeScalars.append(scalar)
      case ":" where allowsColon: result.unicodeScalars.append(scalar)
      default: result += "_"
      }
    }
    return result.isEmpty ? "_" : result
  }

  static func escapedLabel(_ value: String) -> String { escaped(value, quotes: true) }
  static func escapedHelp(_ value: String) -> String { escaped(value, quotes: false) }

  private static func escaped(_ value: String, quotes: Bool) -> String {
    var result = String.UnicodeScalarView()
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\"" where quotes: result.append(contentsOf: "\\\"".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  /// Whole numbers without a fraction; what is no number by the format's names for it.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
    return "\(value)"
  }
}
