import Diagnostics
import StructuredData

extension GGUFRotary {
  /// What a file says.
  /// - Parameter dimension: features of a head that turn.
  init(_ reader: GGUFMetadataReader, dimension: Int, positions: Int, _ dialect: Dialect) throws(CheckpointError) {
    base = try reader.positive("rope.freq_base") ?? 10_000
    guard base > 1 else { throw reader.wrong("rope.freq_base", "is \(base), not above 1") }
    scaling = .none
    let older = try reader.number("rope.scale_linear") ?? 0
    let factor = try reader.number("rope.scaling.factor") ?? older
    guard factor >= 0 else { throw reader.wrong("rope.scaling.factor", "is \(factor), below 0") }
    let share = try reader.positive("rope.scaling.attn_factor") ?? 1
    // Readers take what is not said for linear, and a factor of 0 for none.
    let type = reader.text("rope.scaling.type") ?? "linear"
    switch type {
    case "none": break
    case "linear": if factor != 0, factor != 1 { scaling = .linear(factor: factor) }
    case "yarn":
      var yarn = Yarn(
        factor: factor == 0 ? 1 : factor, originalContext: try reader.count("rope.scaling.original_context_length", default: positions))
      yarn.betaFast = try reader.positive("rope.scaling.yarn_beta_fast") ?? 32
      yarn.betaSlow = try reader.positive("rope.scaling.yarn_beta_slow") ?? 1
      if case .latent = dialect {
        if let multiplier = try reader.number("rope.scaling.yarn_log_multiplier"), multiplier != 0 {
          // The key holds a tenth of it.
          let mscale = Float(multiplier * 10).written
          (yarn.mscale, yarn.mscaleAllDimensions) = (mscale, mscale)
        }
      } else if share != 1 {
        yarn.attentionFactor = Float(share * yarn.usualMagnitude).written
      } else {
        yarn.attentionFactor = try reader.positive("rope.scaling.yarn_attn_factor")
      }
      scaling = .yarn(yarn)
    default: throw reader.wrong("rope.scaling.type", "is \"\(CheckpointError.shortened(type))\"", remedy: "known are none, linear and yarn")
    }
    var takesShare = false
    if case .yarn = scaling { if case .latent = dialect {} else { takesShare = true } }
    guard share == 1 || takesShare else {
      throw reader.wrong("rope.scaling.attn_factor", "is \(share), which no configuration of this family can say")
    }
    try readDivisors(reader, dimension: dimension)
  }

  /// Divisors of frequencies, which llama3 scaling makes.
  private mutating func readDivisors(_ reader: GGUFMetadataReader, dimension: Int) throws(CheckpointError) {
    guard reader.has("rope_freqs.weight") else { return }
    let subject = "\(reader.file), tensor rope_freqs.weight"
    let shape = try reader.shape("rope_freqs.weight", axes: 1)
    guard shape == [dimension / 2] else {
      throw CheckpointError(
        kind: .badData, subject: subject, problem: "holds \(shape[0]) values, not one for each of \(dimension / 2) frequencies",
        remedy: "convert the model again")
    }
    guard let values = reader.rotaryDivisors else {
      if reader.extent == .headers {
        if case .none = scaling { scaling = .llama3(.standard) }
        return
      }
      throw CheckpointError(
        kind: .usage, subject: subject, problem: "its values were not read", remedy: "read them before the configuration")
    }
    guard values.count == dimension / 2 else {
      throw CheckpointError(
        kind: .badData, subject: subject, problem: "holds \(values.count) values, not one for each of \(dimension / 2) frequencies",
        remedy: "convert the model again")
    }
    guard values.contains(where: { $0 != 1 }) else { return }
    guard case .none = scaling, let divisors = GGUFRotaryDivisors(values, base: base) else {
      throw CheckpointError(
        kind: .badData, subject: subject, problem: "divides frequencies otherwise than llama3 scaling does",
        remedy: "use a file of a model without, or with llama3 scaling")
    }
    scaling = .llama3(divisors)
  }

  /// As config.json says it, in the words that loaders old and new know.
  func write(to configuration: inout JSONObject) {
    configuration["rope_theta"] = .number(base)
    var object: JSONObject = [:]
    switch scaling {
    case .none: configuration["rope_scaling"] = .null; return
    case .linear(let factor): object = ["rope_type": "linear", "factor": .number(factor)]
    case .llama3(let divisors):
      object = [
        "rope_type": "llama3", "factor": .number(divisors.factor), "low_freq_factor": .number(divisors.low),
        "high_freq_factor": .number(divisors.high), "original_max_position_embeddings": .number(divisors.context).whole,
      ]
    case .yarn(let yarn):
      object = [
        "rope_type": "yarn", "factor": .number(yarn.factor), "original_max_position_embeddings": .integer(Int64(yarn.originalContext)),
        "beta_fast": .number(yarn.betaFast), "beta_slow": .number(yarn.betaSlow),
      ]
      object["attention_factor"] = yarn.attentionFactor.map { .number($0) }
      object["mscale"] = yarn.mscale.map { .number($0) }
      object["mscale_all_dim"] = yarn.mscaleAllDimensions.map { .number($0) }
    }
    configuration["rope_scaling"] = .object(object)
  }
}

extension JSONValue {
  /// An integer, where the number is one.
  fileprivate var whole: JSONValue { integer.map { .integer(Int64($0)) } ?? self }
}
