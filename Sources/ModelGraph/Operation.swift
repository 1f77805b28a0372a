/// What a node computes. Activations are `[tokens, features]` in float32; parameters follow in the order that each case documents.
public enum Operation: Sendable, Hashable {
  /// Rows of a table, picked by token id. Parameters: table `[vocabulary, features]`.
  case embedding
  /// `x · Wᵀ (+ b)`. Parameters: weight `[outputs, inputs]`, and a bias `[outputs]` when there is a second one.
  case linear
  /// Root-mean-square normalisation (Zhang & Sennrich 2019) of every run of `width` features. Parameters: gain `[width]`.
  case rmsNorm(epsilon: Float, width: Int)
  /// Layer normalisation (Ba et al. 2016) of the whole row. Parameters: gain `[features]`, bias `[features]`.
  case layerNorm(epsilon: Float)
  /// `gain · tanh(steepness · x) + bias` (DyT, Zhu et al. 2025). Parameters: gain `[features]`, bias `[features]`, steepness `[1]`.
  case dynamicTanh
  /// `x +` a row of a table. Parameters: table `[rows, features]`.
  case addRow(RowChoice)
  /// Rotary position embedding (Su et al. 2021) of every head.
  case rotary(RotaryEmbedding)
  /// Softmax attention. Inputs: queries, keys, values.
  case attention(Attention)
  /// The same over latents that keys and values are made of, for decoding only: see ``ModelGraph/absorbingLatentAttention()``. Inputs: queries,
  /// latents, the rotary key that all heads share. Parameters: weight `[heads · (plain + value), rank]`, and a bias when there is a second one.
  case latentAttention(LatentHeads)
  /// `activation(x)`.
  case activation(Activation)
  /// `activation(gate) · up`. Inputs: gate, up.
  case gatedActivation(Activation)
  /// The sum of two inputs.
  case add
  /// `factor · x`: what an adapter adds is scaled so (LoRA, Hu et al. 2021).
  case scale(Float)
  /// `x · magnitude / norm (+ b)`, feature by feature: a linear layer's output with the rows of its weight at other lengths (DoRA, Liu et
  /// al. 2024). Gradients take the norm as a constant. Parameters: magnitude `[features]`, norm `[features]`, and a bias when there is a third.
  case magnitude
  /// Some features of every head, heads one after the other: `count` of each `width`, from `start` on.
  case slice(HeadSlice)
  /// The features of both inputs, head by head: those of a left head, then those of the right one.
  case joinHeads(HeadJoin)
  /// Which experts a token goes to, and with which weights. Input: the router's scores `[tokens, experts]`. Parameters: a correction
  /// `[experts]` that choosing adds to the scores, when there is one.
  case route(Routing)
  /// The rows that go to one expert, in their order. Inputs: features, routing.
  case dispatch(expert: Int)
  /// What a token's experts give, weighted. Inputs: routing, then the output of every expert.
  case combine

  /// The name in listings.
  public var name: String {
    switch self {
    case .embedding: "embedding"
    case .linear: "linear"
    case .rmsNorm: "rmsNorm"
    case .layerNorm: "layerNorm"
    case .dynamicTanh: "dynamicTanh"
    case .addRow: "addRow"
    case .rotary: "rotary"
    case .attention: "attention"
    case .latentAttention: "latentAttention"
    case .activation: "activation"
    case .gatedActivation: "gatedActivation"
    case .add: "add"
    case .scale: "scale"
    case .magnitude: "magnitude"
    case .slice: "slice"
    case .joinHeads: "joinHeads"
    case .route: "route"
    case .dispatch: "dispatch"
    case .combine: "combine"
    }
  }
}

/// Which row of a table is added.
public enum RowChoice: Sendable, Hashable {
  /// That of the token's position in its sequence.
  case position
  /// Always this one.
  case constant(Int)
}

/// Elementwise functions, by their names in config.json.
public enum Activation: String, Sendable, Hashable, CaseIterable {
  case silu
  /// The tanh approximation (`gelu_pytorch_tanh`, `gelu_new`).
  case geluTanh
  /// The exact form, by erf (`gelu`).
  case geluErf
  case relu
  /// The square of ReLU (So et al., Primer, 2021; `relu2`).
  case reluSquared
}

/// Grouped-query attention (Ainslie et al. 2023): `queryHeads / keyValueHeads` query heads share one key and value head.
public struct Attention: Sendable, Hashable {
  public var queryHeads: Int
  public var keyValueHeads: Int
  /// Features of one query or key head.
  public var headDimension: Int
  /// Features of one value head.
  public var valueDimension: Int
  /// What scores are multiplied by before the softmax, usually 1/√headDimension.
  public var scale: Float
  /// A query sees this many last keys, itself included; nil for all of them.
  public var slidingWindow: Int?
  /// A query sees the keys of these blocks only; nil for all of them.
  public var selection: BlockSelection?
  /// Whether a query sees no keys behind it; otherwise it sees those of its whole sequence.
  public var isCausal: Bool

  /// - Parameters:
  ///   - valueDimension: nil for that of queries and keys.
  ///   - scale: nil for 1/√headDimension.
  public init(
    queryHeads: Int, keyValueHeads: Int, headDimension: Int, valueDimension: Int? = nil, scale: Float? = nil, slidingWindow: Int? = nil,
    selection: BlockSelection? = nil, isCausal: Bool = true
  ) {
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.valueDimension = valueDimension ?? headDimension
    self.scale = scale ?? 1 / Float(headDimension).squareRoot()
    self.slidingWindow = slidingWindow
    self.selection = selection
    self.isCausal = isCausal
  }
}
