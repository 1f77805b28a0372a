import ModelGraph

/// Multi-head latent attention (DeepSeek-V2 2024): keys and values of all heads come from one narrow latent, beside a rotary key that all heads
/// share; queries may come from a latent too.
struct LatentAttention: Sendable {
  /// Width of the queries' latent; nil where they are projected at once.
  var queryRank: Int?
  var keyValueRank: Int
  /// Features of a head that do not turn, and those that do.
  var plainDimension: Int
  var rotaryDimension: Int
  var valueDimension: Int
  var bias: Bool
  /// Neighbours turn together; otherwise features half a head apart.
  var isInterleaved = true

  /// The norms of latents are built without the model's epsilon by every implementation: it is always this.
  private static let epsilon = 1e-6

  init(_ reader: inout ConfigurationReader) throws(ConfigurationError) {
    queryRank = reader.value("q_lora_rank") == nil ? nil : try reader.count("q_lora_rank", limit: 1 << 20)
    keyValueRank = try reader.count("kv_lora_rank", limit: 1 << 20)
    plainDimension = try reader.count("qk_nope_head_dim", limit: 1 << 14)
    rotaryDimension = try reader.count("qk_rope_head_dim", limit: 1 << 14)
    valueDimension = try reader.count("v_head_dim", limit: 1 << 14)
    bias = try reader.flag("attention_bias", default: false)
    for derived in ["qk_head_dim", "head_dim"] { _ = reader.value(derived) }
    guard rotaryDimension % 2 == 0 else {
      throw ConfigurationError("\(reader.file): qk_rope_head_dim", "\(rotaryDimension) is not even")
    }
  }

  func build(
    _ x: ValueID, _ scope: String, heads: Int, _ rotary: RotaryConfiguration, reach: AttentionReach, _ builder: inout GraphBuilder
  ) throws(GraphError) -> ValueID {
    let keyDimension = plainDimension + rotaryDimension
    var queries = x
    if let queryRank {
      let latent = try builder.linear(x, scope + ".q_a_proj", outputs: queryRank, role: .attentionQueryDown, bias: bias)
      let normalized = try builder.rmsNorm(latent, scope + ".q_a_layernorm", epsilon: Self.epsilon, role: .latentNormGain)
      queries = try builder.linear(normalized, scope + ".q_b_proj", outputs: heads * keyDimension, role: .attentionQuery)
    } else {
      queries = try builder.linear(x, scope + ".q_proj", outputs: heads * keyDimension, role: .attentionQuery)
    }
    queries = builder.rotary(queries, embedding(heads: heads, offset: plainDimension, rotary), scope: scope + ".rotary.q")

    let compressed = try builder.linear(
      x, scope + ".kv_a_proj_with_mqa", outputs: keyValueRank + rotaryDimension, role: .attentionKeyValueDown, bias: bias)
    let width = keyValueRank + rotaryDimension
    let latent = builder.slice(compressed, HeadSlice(width: width, start: 0, count: keyValueRank), scope: scope + ".latent")
    let normalized = try builder.rmsNorm(latent, scope + ".kv_a_layernorm", epsilon: Self.epsilon, role: .latentNormGain)
    let shared = builder.slice(compressed, HeadSlice(width: width, start: keyValueRank, count: rotaryDimension), scope: scope + ".rotary.k")
    let turned = builder.rotary(shared, embedding(heads: 1, offset: 0, rotary), scope: scope + ".rotary.k")

    let perHead = plainDimension + valueDimension
    let expanded = try builder.linear(normalized, scope + ".kv_b_proj", outputs: heads * perHead, role: .attentionKeyValueUp)
    let plain = builder.slice(
      expanded, HeadSlice(heads: heads, width: perHead, start: 0, count: plainDimension), scope: scope + ".keys")
    let values = builder.slice(
      expanded, HeadSlice(heads: heads, width: perHead, start: plainDimension, count: valueDimension), scope: scope + ".values")
    let keys = builder.joinHeads(
      plain, turned, HeadJoin(heads: heads, left: plainDimension, right: rotaryDimension, sharesRight: true), scope: scope + ".keys")
    var attention = Attention(
      queryHeads: heads, keyValueHeads: heads, headDimension: keyDimension, valueDimension: valueDimension, scale: scale(rotary))
    attention.reach = reach
    let mixed = builder.attention(queries: queries, keys: keys, values: values, attention, scope: scope)
    return try builder.linear(mixed, scope + ".o_proj", outputs: builder.width(x), role: .attentionOutput, bias: bias)
  }

  private func embedding(heads: Int, offset: Int, _ rotary: RotaryConfiguration) -> RotaryEmbedding {
    RotaryEmbedding(
      heads: heads, headDimension: offset + rotaryDimension, rotaryDimension: rotaryDimension, offset: offset,
      interleaved: isInterleaved, base: rotary.base, scaling: rotary.scaling)
  }

  /// YaRN's magnitude sharpens the softmax too, where `mscale_all_dim` is set.
  private func scale(_ rotary: RotaryConfiguration) -> Float {
    let plain = 1 / Double(plainDimension + rotaryDimension).squareRoot()
    guard case .yarn(let yarn) = rotary.scaling, let mscale = yarn.mscaleAllDimensions, mscale != 0 else { return Float(plain) }
    let magnitude = RotaryScaling.Yarn.magnitude(factor: yarn.factor, mscale)
    return Float(plain * magnitude * magnitude)
  }
}
