import ModelGraph

/// What a model is trained towards: losses of its predictions, of what its blocks leave, or of both.
public struct TrainingObjective {
  /// What predictions are compared with; nil where only blocks are looked at, and then the head is not run.
  public var target: LossTarget?
  /// A loss of what blocks leave.
  public var hidden: (any HiddenLoss)?
  /// Added to what the first block leaves, `[rows, width]`.
  public var embeddingOffset: Matrix?
  /// Whether the gradient of what the first block leaves is asked for.
  public var wantsEmbeddingGradient = false

  public init(_ target: LossTarget? = nil, hidden: (any HiddenLoss)? = nil, embeddingOffset: Matrix? = nil) {
    (self.target, self.hidden, self.embeddingOffset) = (target, hidden, embeddingOffset)
  }
}

/// A loss of the hidden states that some blocks leave.
public protocol HiddenLoss {
  /// Their places in the graph; the head is none of them.
  var blocks: Set<Int> { get }
  /// The loss of what one of them leaves, and its gradient, whatever weights rows have included.
  /// - Parameter state: `[rows, width]`; it must not be changed.
  /// - Returns: the gradient in a matrix of its own.
  func differentiate(_ block: Int, _ state: Matrix) throws -> (loss: Double, gradient: Matrix)
}

/// What a run back over a model leaves.
public struct ModelGradients {
  /// The weighted sum of losses, in nats where they are of predictions.
  public internal(set) var loss = 0.0
  public internal(set) var parameters: [ParameterID: Matrix]
  /// Of what the first block leaves, `[rows, width]`, when it was asked for.
  public internal(set) var embedding: Matrix?

  init(parameters: [ParameterID: Matrix]) { self.parameters = parameters }
}
