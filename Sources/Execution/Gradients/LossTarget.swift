import ModelGraph

/// What a model's predictions are compared with, row by row.
public enum LossTarget: Sendable {
  /// Cross-entropy with the token that should follow each row.
  case tokens([Int32])
  /// Cross-entropy with a token drawn from the model's own prediction: its gradients are those that the Fisher information is made of.
  /// The draw depends on the seed and on the row's number, counted from `firstRow`.
  case drawn(seed: UInt64, firstRow: Int)
  /// KL(teacher ‖ student) of the distributions at a temperature, times its square (Hinton et al. 2015): gradients keep their size.
  case teacher(Teacher)
  /// The same with a part of the teacher's probabilities; all others together count as one token.
  case partial(PartialDistributions)
  /// What a token drawn from the model's own prediction was worth: the clipped surrogate of PPO (Schulman et al. 2017).
  case policy(Policy)

  /// For every row the likeliest tokens of a teacher.
  public struct PartialDistributions: Sendable {
    /// Tokens a row.
    public var kept: Int
    /// `[rows × kept]`, rising within a row.
    public var ids: [UInt32]
    /// Of these tokens, at the temperature.
    public var probabilities: [Float]
    /// Above 0.
    public var temperature: Float

    public init(kept: Int, ids: [UInt32], probabilities: [Float], temperature: Float = 1) {
      (self.kept, self.ids, self.probabilities, self.temperature) = (kept, ids, probabilities, temperature)
    }
  }

  /// For every row the token that was drawn.
  public struct Policy: Sendable {
    public var tokens: [Int32]
    /// By how much each was better than what was to be expected.
    public var advantages: [Float]
    /// Of each token when it was drawn.
    public var logProbabilities: [Float]
    /// How far the ratio of probabilities may go from 1 before it counts no more.
    public var clip: Float

    public init(tokens: [Int32], advantages: [Float], logProbabilities: [Float], clip: Float = 0.2) {
      (self.tokens, self.advantages, self.logProbabilities, self.clip) = (tokens, advantages, logProbabilities, clip)
    }
  }

  /// A model whose logits are the target: its head, and what goes into that for the same rows.
  public struct Teacher: Sendable {
    public var block: Block
    public var graph: ModelGraph
    public var weights: LoadedBlock
    /// `[rows, width]`, what the teacher's last layer leaves.
    public var input: Matrix
    /// Above 0.
    public var temperature: Float

    public init(block: Block, graph: ModelGraph, weights: LoadedBlock, input: Matrix, temperature: Float = 1) {
      self.block = block
      self.graph = graph
      self.weights = weights
      self.input = input
      self.temperature = temperature
    }
  }
}
