import ModelGraph
import Tensors

/// BERT (Devlin et al. 2018) and the sentence encoders that are made of it: positions and token types added to embeddings, attention over the whole
/// text, norms behind the sums. What stands beside the encoder, pooler or masked language model, stays in the checkpoint and is not run.
struct Bert: Architecture {
  static let modelTypes = ["bert"]
  private let vocabularySize: Int
  private let hiddenSize: Int
  private let intermediateSize: Int
  private let layers: Int
  private let heads: Int
  private let positions: Int
  private let tokenTypes: Int
  private let epsilon: Double
  private let activation: Activation

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    vocabularySize = try reader.count("vocab_size", default: 30522)
    hiddenSize = try reader.count("hidden_size", default: 768, limit: 1 << 20)
    intermediateSize = try reader.count("intermediate_size", default: 3072, limit: 1 << 22)
    layers = try reader.count("num_hidden_layers", default: 12, limit: 1 << 14)
    heads = try reader.count("num_attention_heads", default: 12, limit: 1 << 14)
    positions = try reader.count("max_position_embeddings", default: 512)
    tokenTypes = try reader.count("type_vocab_size", default: 2)
    epsilon = try reader.number("layer_norm_eps", default: 1e-12)
    activation = Activation(try reader.activation(default: .gelu))
    guard hiddenSize % heads == 0 else {
      throw ConfigurationError("\(reader.file): num_attention_heads", "\(heads) does not divide the hidden size of \(hiddenSize)")
    }
    if let kind = try reader.text("position_embedding_type"), kind != "absolute" {
      throw ConfigurationError("\(reader.file): position_embedding_type", "\"\(kind)\" is not supported", remedy: "use absolute")
    }
    if try reader.flag("is_decoder", default: false) {
      throw ConfigurationError("\(reader.file): is_decoder", "is true: BERT as a decoder is not supported")
    }
    for unused in [
      "attention_probs_dropout_prob", "hidden_dropout_prob", "classifier_dropout", "initializer_range", "pad_token_id", "use_cache",
      "add_cross_attention", "cross_attention_hidden_size", "gradient_checkpointing", "bos_token_id", "eos_token_id", "tie_word_embeddings",
    ] { _ = reader.value(unused) }
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph {
    var builder = GraphBuilder(
      family: "bert", vocabularySize: vocabularySize, maximumPositions: positions, purpose: .encoder, weights: weights)
    // Models with a head of their own keep the encoder in a module of that name.
    let root = weights.describe("bert.embeddings.word_embeddings.weight") == nil ? "" : "bert."
    let names = weights.describe("\(root)embeddings.LayerNorm.gamma") == nil ? ("weight", "bias") : ("gamma", "beta")
    let embeddings = root + "embeddings"
    var x = try builder.embedding(builder.input, "\(embeddings).word_embeddings", width: hiddenSize)
    x = try builder.addRow(x, "\(embeddings).token_type_embeddings", rows: tokenTypes, .constant(0), role: .tokenTypeEmbedding)
    x = try builder.addRow(x, "\(embeddings).position_embeddings", rows: positions, .position, role: .positionEmbedding)
    x = try builder.layerNorm(x, "\(embeddings).LayerNorm", epsilon: epsilon, names: names)
    builder.endBlock(.embedding, embeddings)
    for index in 0..<layers {
      let scope = "\(root)encoder.layer.\(index)"
      let attended = try attention(x, scope + ".attention", &builder)
      let sum = builder.add(x, attended, scope: scope + ".attention")
      let normalized = try builder.layerNorm(sum, scope + ".attention.output.LayerNorm", epsilon: epsilon, names: names)
      let inner = try builder.linear(normalized, scope + ".intermediate.dense", outputs: intermediateSize, role: .mlpUp, bias: true)
      let activated = builder.activation(inner, activation, scope: scope + ".intermediate")
      let outer = try builder.linear(activated, scope + ".output.dense", outputs: hiddenSize, role: .mlpDown, bias: true)
      x = try builder.layerNorm(
        builder.add(normalized, outer, scope: scope), scope + ".output.LayerNorm", epsilon: epsilon, names: names)
      builder.endBlock(.layer(index), scope)
    }
    return try builder.finish(output: x)
  }

  private func attention(_ x: ValueID, _ scope: String, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID {
    let dimension = hiddenSize / heads
    let queries = try builder.linear(x, scope + ".self.query", outputs: hiddenSize, role: .attentionQuery, bias: true)
    let keys = try builder.linear(x, scope + ".self.key", outputs: hiddenSize, role: .attentionKey, bias: true)
    let values = try builder.linear(x, scope + ".self.value", outputs: hiddenSize, role: .attentionValue, bias: true)
    let mixed = builder.attention(
      queries: queries, keys: keys, values: values,
      Attention(
        queryHeads: heads, keyValueHeads: heads, headDimension: dimension, valueDimension: dimension,
        scale: 1 / Float(dimension).squareRoot(), isCausal: false), scope: scope)
    return try builder.linear(mixed, scope + ".output.dense", outputs: hiddenSize, role: .attentionOutput, bias: true)
  }
}
