import ModelGraph

/// Rotary settings as config.json spells them: `rope_parameters` (transformers 5), or `rope_theta` with `rope_scaling` (before).
struct RotaryConfiguration: Sendable {
  var base: Double
  var scaling: RotaryScaling
  var partialFactor: Double

  init(_ reader: inout ConfigurationReader, maximumPositions: Int) throws(ConfigurationError) {
    let theta = try reader.number("rope_theta", default: 10_000)
    let partial = try reader.number("partial_rotary_factor", default: 1)
    let outerContext = try reader.number("original_max_position_embeddings", default: 0)
    let current = try reader.section("rope_parameters")
    let old = try reader.section("rope_scaling")
    guard var section = current ?? old else {
      (base, scaling, partialFactor) = (theta, .none, partial)
      try check(reader.file)
      return
    }
    base = try section.number("rope_theta", default: theta)
    partialFactor = try section.number("partial_rotary_factor", default: partial)
    let newName = try section.text("rope_type")
    let oldName = try section.text("type")
    let type = newName ?? oldName ?? "default"
    let contextDefault = outerContext > 0 ? outerContext : Double(maximumPositions)
    switch type {
    case "default": scaling = .none
    case "linear": scaling = .linear(factor: try section.factor())
    case "llama3":
      let low = try section.number("low_freq_factor", default: 1)
      let high = try section.number("high_freq_factor", default: 4)
      guard high > low, low > 0 else {
        throw ConfigurationError(section.file, "high_freq_factor \(high) is not above low_freq_factor \(low)")
      }
      scaling = .llama3(
        factor: try section.factor(), lowFrequency: low, highFrequency: high,
        originalContext: try section.positive("original_max_position_embeddings", default: contextDefault))
    case "yarn":
      let context = try section.positive("original_max_position_embeddings", default: contextDefault)
      var yarn = RotaryScaling.Yarn(
        factor: try section.positive("factor", default: Double(maximumPositions) / context), originalContext: context)
      yarn.betaFast = try section.positive("beta_fast", default: 32)
      yarn.betaSlow = try section.positive("beta_slow", default: 1)
      yarn.attentionFactor = try section.optionalNumber("attention_factor")
      yarn.mscale = try section.optionalNumber("mscale")
      yarn.mscaleAllDimensions = try section.optionalNumber("mscale_all_dim")
      yarn.truncate = try section.flag("truncate", default: true)
      scaling = .yarn(yarn)
    default:
      throw ConfigurationError(
        section.file, "the rotary scaling \"\(type)\" is not supported", remedy: "supported are default, linear, llama3 and yarn")
    }
    try check(section.file)
  }

  private func check(_ file: String) throws(ConfigurationError) {
    guard base > 1, base.isFinite, partialFactor > 0, partialFactor <= 1 else {
      throw ConfigurationError(file, "rope_theta \(base) or partial_rotary_factor \(partialFactor) is out of range")
    }
  }
}

extension ConfigurationReader {
  fileprivate mutating func factor() throws(ConfigurationError) -> Double {
    guard value("factor") != nil else { throw ConfigurationError("\(file): factor", "is missing") }
    return try positive("factor", default: 1)
  }

  fileprivate mutating func positive(_ key: String, default fallback: Double) throws(ConfigurationError) -> Double {
    let number = try number(key, default: fallback)
    guard number > 0 else { throw ConfigurationError("\(file): \(key)", "is \(number), not above 0") }
    return number
  }

  fileprivate mutating func optionalNumber(_ key: String) throws(ConfigurationError) -> Double? {
    value(key) == nil ? nil : try number(key, default: 0)
  }
}
