import Diagnostics

/// How windows are chosen among the candidates drawn from a text.
public enum CalibrationStrategy: String, Sendable, Hashable, Codable, CaseIterable {
  /// As they were drawn.
  case random
  /// Equally from five tiers of the model's own perplexity, so that both what the model finds easy and what it finds hard is seen.
  case tiers
}

/// What is asked of a calibration text.
public struct CalibrationSettings: Sendable, Hashable {
  /// Windows wanted.
  public var windows = 128
  /// Tokens of every window; windows are never padded.
  public var sequenceLength = 512
  /// How windows are chosen among the candidates.
  public var strategy = CalibrationStrategy.random
  /// Candidates drawn for every window that `tiers` chooses; `random` draws no more than it needs.
  public var candidateFactor = 4
  /// Two windows whose sets of five-token shingles have at least this Jaccard similarity are near duplicates; 1 keeps all but equal sets.
  public var similarityThreshold = 0.8
  /// With fewer windows than this the text is refused; with fewer than `windows` it is used with a warning.
  public var minimumWindows = 1
  /// What every random choice derives from.
  public var seed: UInt64 = 0

  public init() {}

  public init(windows: Int, sequenceLength: Int, strategy: CalibrationStrategy = .random, seed: UInt64 = 0) {
    self.windows = windows
    self.sequenceLength = sequenceLength
    self.strategy = strategy
    self.seed = seed
  }

  /// Candidates to draw.
  var candidates: Int { strategy == .tiers ? windows * candidateFactor : windows }

  /// Holds every setting to bounds within which sizes cannot overflow.
  func validate() throws(CalibrationError) {
    func check(_ value: Int, _ name: String, _ bounds: ClosedRange<Int>) throws(CalibrationError) {
      guard !bounds.contains(value) else { return }
      throw CalibrationError(
        name, "of \(value) is out of bounds", remedy: "use \(bounds.lowerBound) to \(bounds.upperBound)", kind: .usage)
    }
    try check(windows, "--calibration-samples", 1...1 << 20)
    try check(sequenceLength, "--sequence-length", 2...1 << 20)
    try check(candidateFactor, "the candidates per calibration window", 1...8)
    try check(minimumWindows, "the fewest calibration windows", 1...windows)
    guard similarityThreshold > 0, similarityThreshold <= 1 else {
      throw CalibrationError(
        "the similarity threshold", "of \(similarityThreshold) is out of bounds", remedy: "use more than 0 and at most 1", kind: .usage)
    }
  }
}
