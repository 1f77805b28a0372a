import Diagnostics
import Foundation
import StructuredData

/// How positions turn the heads of a model, as config.json and GGUF say it.
struct GGUFRotary: Sendable, Hashable {
  enum Scaling: Sendable, Hashable {
    case none
    case linear(factor: Double)
    case llama3(GGUFRotaryDivisors)
    case yarn(Yarn)
  }

  struct Yarn: Sendable, Hashable {
    var factor: Double
    var originalContext: Int
    var betaFast = 32.0
    var betaSlow = 1.0
    var attentionFactor: Double?
    var mscale: Double?
    var mscaleAllDimensions: Double?

    static func magnitude(factor: Double, _ mscale: Double = 1) -> Double { factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1 }

    /// What a program takes that is told the factor alone.
    var usualMagnitude: Double { Self.magnitude(factor: factor) }

    /// What cosines and sines are multiplied by.
    var magnitude: Double {
      if let attentionFactor { return attentionFactor }
      if let mscale, let mscaleAllDimensions, mscale != 0, mscaleAllDimensions != 0 {
        return Self.magnitude(factor: factor, mscale) / Self.magnitude(factor: factor, mscaleAllDimensions)
      }
      return usualMagnitude
    }
  }

  /// Which scalings readers of an architecture know.
  enum Dialect: Sendable {
    /// Llama's: any of them, and a tensor of divisors.
    case withDivisors
    /// All but divisors.
    case plain
    /// DeepSeek's: YaRN alone, whose magnitude goes into the softmax.
    case latent
  }

  var base: Double
  var scaling: Scaling

  /// What config.json says, in the words of transformers 5 (`rope_parameters`) or of before (`rope_theta` and `rope_scaling`).
  init(_ reader: GGUFConfigurationReader, positions: Int, _ dialect: Dialect) throws(CheckpointError) {
    let theta = try reader.positive("rope_theta", default: 10_000)
    let partial = try reader.number("partial_rotary_factor", default: 1)
    let current = try reader.section("rope_parameters")
    let older = try reader.section("rope_scaling")
    let section = current ?? older
    base = try section?.positive("rope_theta", default: theta) ?? theta
    guard try section?.number("partial_rotary_factor", default: partial) ?? partial == 1 else {
      throw reader.refused("partial_rotary_factor", "turns whole heads in this architecture")
    }
    guard base > 1 else { throw reader.refused("rope_theta", "wants a base above 1, not \(base)") }
    scaling = .none
    guard let section else { return }
    let newName = try section.text("rope_type")
    let oldName = try section.text("type")
    let outerContext = try reader.count("original_max_position_embeddings", default: positions)
    switch newName ?? oldName ?? "default" {
    case "default": break
    case "linear":
      guard section.value("factor") != nil else { throw section.refused("factor", "wants the factor of linear scaling") }
      let factor = try section.positive("factor", default: 1)
      if factor != 1 { scaling = .linear(factor: factor) }
    case "llama3":
      guard section.value("factor") != nil else { throw section.refused("factor", "wants the factor of llama3 scaling") }
      let divisors = GGUFRotaryDivisors(
        factor: try section.positive("factor", default: 1), low: try section.positive("low_freq_factor", default: 1),
        high: try section.positive("high_freq_factor", default: 4),
        context: try section.positive("original_max_position_embeddings", default: Double(outerContext)))
      guard divisors.high > divisors.low else { throw section.refused("high_freq_factor", "wants it above low_freq_factor") }
      scaling = .llama3(divisors)
    case "yarn": scaling = .yarn(try Self.yarn(section, positions: positions, outerContext: outerContext))
    case let name:
      throw section.refused(
        "rope_type", "has no rotary scaling called \"\(CheckpointError.shortened(name))\" here",
        remedy: "use default, linear, llama3 or yarn")
    }
    try check(dialect, section)
  }

  private static func yarn(
    _ section: GGUFConfigurationReader, positions: Int, outerContext: Int
  ) throws(CheckpointError) -> Yarn {
    let context = try section.count("original_max_position_embeddings", default: outerContext)
    var yarn = Yarn(factor: try section.positive("factor", default: Double(positions) / Double(context)), originalContext: context)
    yarn.betaFast = try section.positive("beta_fast", default: 32)
    yarn.betaSlow = try section.positive("beta_slow", default: 1)
    func optional(_ key: String) throws(CheckpointError) -> Double? {
      section.value(key) == nil ? nil : try section.number(key, default: 0)
    }
    yarn.attentionFactor = try optional("attention_factor")
    yarn.mscale = try optional("mscale")
    yarn.mscaleAllDimensions = try optional("mscale_all_dim")
    guard try section.flag("truncate", default: true) else {
      throw section.refused("truncate", "rounds the bounds of YaRN's ramp", remedy: "set truncate to true, or use --format safetensors")
    }
    return yarn
  }

  /// What readers of the architecture would compute otherwise than the configuration says.
  private func check(_ dialect: Dialect, _ section: GGUFConfigurationReader) throws(CheckpointError) {
    switch (scaling, dialect) {
    case (.none, _), (.llama3, .withDivisors), (.linear, .withDivisors), (.linear, .plain): return
    case (.llama3, _):
      throw section.refused(
        "rope_type", "has the divisors of llama3 scaling in llama files alone", remedy: "use yarn, or --format safetensors")
    case (.linear, .latent):
      throw section.refused("rope_type", "sharpens the softmax of latent attention with linear scaling", remedy: "use yarn")
    case (.yarn(let yarn), _):
      guard yarn.betaFast == 32, yarn.betaSlow == 1 else {
        throw section.refused(
          "beta_fast", "readers take a ramp from 32 to 1 whatever the file says, not from \(yarn.betaFast) to \(yarn.betaSlow)",
          remedy: "use beta_fast 32 and beta_slow 1, or --format safetensors")
      }
      let magnitude = yarn.magnitude
      guard magnitude > 0, magnitude.isFinite else { throw section.refused("attention_factor", "wants a magnitude above 0") }
      guard case .latent = dialect, yarn.factor > 1 else { return }
      guard abs(magnitude - 1) < 1e-6, let mscale = yarn.mscaleAllDimensions, mscale != 0 else {
        throw section.refused(
          "mscale", "has YaRN for latent attention where mscale and mscale_all_dim are the same",
          remedy: "set them to the same number, or use --format safetensors")
      }
    }
  }

  /// The keys that follow the sizes of the heads.
  func write(to metadata: inout GGUFMetadata, _ architecture: String, latent: Bool = false) {
    switch scaling {
    case .none, .llama3: break
    case .linear(let factor):
      metadata["\(architecture).rope.scaling.type"] = .string("linear")
      metadata["\(architecture).rope.scaling.factor"] = .float32(Float(factor))
    case .yarn(let yarn):
      metadata["\(architecture).rope.scaling.type"] = .string("yarn")
      metadata["\(architecture).rope.scaling.factor"] = .float32(Float(yarn.factor))
      metadata["\(architecture).rope.scaling.original_context_length"] = .uint32(UInt32(clamping: yarn.originalContext))
      // Readers multiply what they derive from the factor by this.
      let share = yarn.magnitude / yarn.usualMagnitude
      if !latent, abs(share - 1) > 1e-6 { metadata["\(architecture).rope.scaling.attn_factor"] = .float32(Float(share)) }
      metadata["\(architecture).rope.scaling.yarn_beta_fast"] = .float32(Float(yarn.betaFast))
      metadata["\(architecture).rope.scaling.yarn_beta_slow"] = .float32(Float(yarn.betaSlow))
    }
    metadata["\(architecture).rope.freq_base"] = .float32(Float(base))
  }
}
