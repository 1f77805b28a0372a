import ModelGraph
import Tensors

/// The pre-norm decoder that Llama, Mistral, Qwen and DeepSeek share: attention with rotary positions, and a gated MLP or experts.
/// Families fill in what differs.
struct DecoderTransformer: Sendable {
  var family: String
  var vocabularySize: Int
  var hiddenSize: Int
  var intermediateSize: Int
  var layers: Int
  var queryHeads: Int
  var keyValueHeads: Int
  var headDimension: Int
  var maximumPositions: Int
  var epsilon: Double
  var activation: Activation
  var tiedEmbeddings: Bool
  var rotary: RotaryConfiguration
  /// Biases of the query, key and value projections, of the output projection, and of the MLP.
  var queryKeyValueBias = false
  var outputBias = false
  var mlpBias = false
  /// RMS norms of every query and key head before the rotation (Qwen3).
  var headNorms = false
  /// Low-rank queries, keys and values in place of the projections above (DeepSeek).
  var latentAttention: LatentAttention?
  /// Experts in place of the MLP, in the layers that `isSparse` names.
  var mixture: MixtureOfExperts?
  var isSparse: @Sendable (Int) -> Bool = { _ in true }
  /// Window of the layers that have one.
  var slidingWindow: Int?
  /// Whether a layer attends within the window.
  var isSliding: @Sendable (Int) -> Bool = { _ in true }

  /// What this program has put in the place of the family's own modules.
  var replaced: ReplacedModules

  /// Reads the keys that all these families share.
  /// - Parameter headDimension: what `head_dim` defaults to; nil for hidden size over heads.
  init(
    family: String, _ reader: inout ConfigurationReader, headDimension defaultHeadDimension: Int? = nil
  ) throws(ConfigurationError) {
    self.family = family
    vocabularySize = try reader.count("vocab_size")
    hiddenSize = try reader.count("hidden_size", limit: 1 << 20)
    intermediateSize = try reader.count("intermediate_size", limit: 1 << 22)
    layers = try reader.count("num_hidden_layers", limit: 1 << 14)
    queryHeads = try reader.count("num_attention_heads", limit: 1 << 14)
    keyValueHeads = try reader.count("num_key_value_heads", default: queryHeads, limit: 1 << 14)
    headDimension = try reader.count("head_dim", default: defaultHeadDimension ?? max(1, hiddenSize / queryHeads), limit: 1 << 14)
    maximumPositions = try reader.count("max_position_embeddings", default: 2048)
    epsilon = try reader.number("rms_norm_eps", default: 1e-6)
    activation = Activation(try reader.activation())
    tiedEmbeddings = try reader.flag("tie_word_embeddings", default: false)
    rotary = try RotaryConfiguration(&reader, maximumPositions: maximumPositions)
    replaced = try ReplacedModules(&reader, layers: layers)
    guard queryHeads % keyValueHeads == 0 else {
      throw ConfigurationError(
        "\(reader.file): num_key_value_heads", "\(keyValueHeads) does not divide the \(queryHeads) attention heads")
    }
    let turning = Int(Double(headDimension) * rotary.partialFactor)
    guard turning >= 2, turning % 2 == 0 else {
      throw ConfigurationError("\(reader.file): head_dim", "\(headDimension) leaves \(turning) rotary features, not an even number above 0")
    }
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph {
    var builder = GraphBuilder(
      family: family, vocabularySize: vocabularySize, maximumPositions: maximumPositions, weights: weights)
    var hidden = try builder.embedding(builder.input, "model.embed_tokens", width: hiddenSize)
    builder.endBlock(.embedding, "model.embed_tokens")
    for layer in 0..<layers {
      hidden = try self.layer(layer, hidden, &builder)
    }
    let normalized = try norm(hidden, "model.norm", &builder)
    let logits =
      tiedEmbeddings
      ? try builder.linear(normalized, "lm_head", outputs: vocabularySize, tiedTo: "model.embed_tokens.weight")
      : try builder.linear(normalized, "lm_head", outputs: vocabularySize, role: .languageModelHead)
    builder.endBlock(.head, "lm_head")
    return try builder.finish(output: logits)
  }

  private func layer(_ index: Int, _ hidden: ValueID, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID {
    let scope = "model.layers.\(index)"
    let normalized = try norm(hidden, scope + ".input_layernorm", &builder)
    let attended =
      if let latentAttention {
        try latentAttention.build(
          normalized, scope + ".self_attn", heads: queryHeads, rotary, reach: replaced.reaches[index] ?? .full, &builder)
      } else {
        try attention(index, normalized, scope + ".self_attn", &builder)
      }
    let residual = builder.add(hidden, attended, scope: scope)
    let mlpInput = try norm(residual, scope + ".post_attention_layernorm", &builder)
    let down: ValueID
    if let mixture, isSparse(index) {
      down = try mixture.build(mlpInput, scope, activation, &builder)
    } else {
      down = try GatedMLP(width: intermediateSize, bias: mlpBias).build(mlpInput, scope + ".mlp", activation, &builder)
    }
    let output = builder.add(residual, down, scope: scope)
    builder.endBlock(.layer(index), scope)
    return output
  }

  /// A norm of the residual stream.
  private func norm(_ x: ValueID, _ scope: String, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID {
    switch replaced.normalization {
    case .rmsNorm: try builder.rmsNorm(x, scope, epsilon: epsilon)
    case .layerNorm: try builder.layerNorm(x, scope, epsilon: epsilon)
    case .dynamicTanh: try builder.dynamicTanh(x, scope)
    }
  }

  private func attention(
    _ index: Int, _ x: ValueID, _ scope: String, _ builder: inout GraphBuilder
  ) throws(GraphError) -> ValueID {
    let queryWidth = queryHeads * headDimension
    let keyValueWidth = keyValueHeads * headDimension
    let bias = queryKeyValueBias
    var queries = try builder.linear(x, scope + ".q_proj", outputs: queryWidth, role: .attentionQuery, bias: bias)
    var keys = try builder.linear(x, scope + ".k_proj", outputs: keyValueWidth, role: .attentionKey, bias: bias)
    let values = try builder.linear(x, scope + ".v_proj", outputs: keyValueWidth, role: .attentionValue, bias: bias)
    if headNorms {
      queries = try builder.rmsNorm(queries, scope + ".q_norm", epsilon: epsilon, perHead: headDimension)
      keys = try builder.rmsNorm(keys, scope + ".k_norm", epsilon: epsilon, perHead: headDimension)
    }
    queries = builder.rotary(queries, rotaryEmbedding(heads: queryHeads), scope: scope + ".rotary.q")
    keys = builder.rotary(keys, rotaryEmbedding(heads: keyValueHeads), scope: scope + ".rotary.k")
    var attention = Attention(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: headDimension, valueDimension: headDimension,
      scale: 1 / Float(headDimension).squareRoot(), slidingWindow: isSliding(index) ? slidingWindow : nil)
    if let reach = replaced.reaches[index] { attention.reach = reach }
    let mixed = builder.attention(queries: queries, keys: keys, values: values, attention, scope: scope)
    return try builder.linear(mixed, scope + ".o_proj", outputs: hiddenSize, role: .attentionOutput, bias: outputBias)
  }

  private func rotaryEmbedding(heads: Int) -> RotaryEmbedding {
    RotaryEmbedding(
      heads: heads, headDimension: headDimension, rotaryDimension: Int(Double(headDimension) * rotary.partialFactor),
      base: rotary.base, scaling: rotary.scaling)
  }
}

extension Activation {
  init(_ name: ActivationName) {
    switch name {
    case .silu, .swish: self = .silu
    case .gelu: self = .geluErf
    case .geluNew, .geluPytorchTanh: self = .geluTanh
    case .relu: self = .relu
    case .relu2: self = .reluSquared
    }
  }
}
