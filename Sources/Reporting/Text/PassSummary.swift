import StructuredData

/// What one pass of a recipe was told, in words.
struct PassSummary {
  let name: String
  private let options: JSONValue

  /// Nil for an entry without a name.
  init?(_ pass: JSONValue) {
    guard let name = pass["pass"]?.string else { return nil }
    (self.name, options) = (name, pass)
  }

  /// What codes and scales are, where that is said.
  private var type: String { options["type"]?.string ?? "integer" }
  /// Whether the type leaves the width to another option.
  private var hasBits: Bool { hasGroups || type == "gguf" }
  /// Whether it leaves the groups to one.
  private var hasGroups: Bool { type == "integer" || type == "affine" }

  private var bits: String? { options["bits"]?.double.map { "\(NumberText.bits($0))-bit" } }

  private var groupSize: Int? { ["groupSize", "group-size", "group_size"].lazy.compactMap { options[$0]?.integer }.first }

  private var activations: String? {
    guard let activations = options["activations"]?.string, activations != "none" else { return nil }
    return "\(activations) activations"
  }

  private var mixture: String? {
    guard let mixture = options["mixed-precision"]?.string, mixture != "off" else { return nil }
    return mixture
  }

  private func count(_ key: String) -> Int { options[key]?.array?.count ?? 0 }

  /// The width and grouping that tell recipes apart: `gptq 4-bit g128`.
  var short: String {
    var words = [name]
    if hasBits, let bits { words.append(bits) }
    if type != "integer" { words.append(type) }
    if hasGroups, let groupSize, groupSize > 0 { words.append("g\(groupSize)") }
    if let activations { words.append(activations) }
    if count("overrides") > 0 { words.append("with other bits in places") }
    if let mixture { words.append(mixture) }
    return words.joined(separator: " ")
  }

  /// `GPTQ (gptq): 4-bit, groups of 128, symmetric; 2 overrides, 1 exception`
  var sentence: String {
    var words: [String] = []
    if hasBits, let bits { words.append(bits) }
    if hasGroups, bits != nil, let groupSize {
      words.append(groupSize > 0 ? "groups of \(NumberText.grouped(groupSize))" : "a scale for each output channel")
    }
    switch type {
    case "integer":
      if bits != nil, let method = options["method"]?.string, ["symmetric", "asymmetric"].contains(method) { words.append(method) }
    case "affine": words.append("with minima")
    case "gguf": words.append("types of GGUF")
    default: words.append(type)
    }
    if let activations { words.append(activations) }
    if let mixture { words.append("mixed precision: \(mixture)") }
    for (key, what) in [("overrides", "override"), ("ignore", "exception")] where count(key) > 0 {
      words.append("\(count(key)) \(what)\(count(key) == 1 ? "" : "s")")
    }
    let shown = words.map { TerminalText.elided($0, to: 60) }
    let title = TerminalText.elided(name, to: 60)
    return (Self.titles[name].map { "\($0) (\(title))" } ?? title) + (shown.isEmpty ? "" : ": " + shown.joined(separator: ", "))
  }

  /// Passes whose name alone says little; any other is called by its name.
  private static let titles = [
    "round-to-nearest": "Rounded to nearest", "mse": "Quantized with scales of least squared error",
    "imatrix": "Quantized with scales of least squared error, inputs weighted by their activations", "hqq": "Half-quadratic quantization",
    "gptq": "GPTQ", "awq": "Activation-aware quantization", "autoround": "Quantized with learned rounding",
    "qat": "Quantization-aware training", "nf4": "Quantized to the quantiles of a normal distribution",
    "rotate": "Hadamard rotation, folded into the weights", "smooth": "Activations smoothed, folded into the weights",
    "sparsify": "Weights set to zero", "static-activations": "Scales of the inputs from calibration text",
    "activation-outliers": "Layers that int8 inputs would hurt keep float ones", "merge": "An adapter was folded into the weights",
    "prune": "Pruned", "replace": "Modules replaced", "distill": "Distilled from a teacher", "finetune": "Fine-tuned",
  ]
}
