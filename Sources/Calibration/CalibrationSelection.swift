/// The windows that calibrated passes see, and how they came to be chosen. The same text, settings and model give the same selection,
/// however many threads there are.
public struct CalibrationSelection: Sendable {
  /// Candidates of like perplexity.
  public struct Tier: Sendable, Hashable {
    /// The least and the greatest mean negative log-likelihood of its candidates, in nats per token.
    public let bounds: ClosedRange<Double>
    /// The mean over its candidates.
    public let meanLoss: Double
    public let candidates: Int
    /// How many of them were chosen.
    public let chosen: Int
  }

  /// The file's name.
  public let name: String
  /// SHA-256 of the file.
  public let digest: String
  /// How the windows were chosen among the candidates.
  public let strategy: CalibrationStrategy
  /// What every random choice derived from.
  public let seed: UInt64
  /// Tokens of every window.
  public let sequenceLength: Int
  /// The windows. Any first part of them is as mixed as the whole, so that some may be held out.
  public let windows: [[Int32]]
  /// Mean negative log-likelihood of every chosen window in nats; empty unless windows were graded.
  public let losses: [Double]
  /// Distinct windows that were chosen from.
  public let candidates: Int
  /// Windows that were dropped because a candidate has the same tokens.
  public let exactDuplicates: Int
  /// Windows that were dropped because a candidate has nearly the same tokens.
  public let nearDuplicates: Int
  /// From the likeliest text to the least likely; empty unless windows were graded.
  public let tiers: [Tier]
  /// What a person should know, one sentence each.
  public let warnings: [String]

  /// Tokens of all windows.
  public var tokens: Int { windows.count * sequenceLength }
}
