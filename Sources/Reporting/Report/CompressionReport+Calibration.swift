extension CompressionReport {
  /// The text that passes were calibrated on, and the methods that were tried on it.
  public struct Calibration: Sendable, Equatable {
    /// One method that was tried, measured on windows of the calibration text that it was not calibrated on.
    public struct Trial: Sendable, Equatable {
      public var algorithm: String
      /// Mean KL divergence, nats per token.
      public var klDivergence: Double?
      public var seconds: Double?

      public init(algorithm: String, klDivergence: Double? = nil, seconds: Double? = nil) {
        self.algorithm = algorithm
        self.klDivergence = klDivergence
        self.seconds = seconds
      }
    }

    /// The file's name.
    public var text: String
    public var windows: Int
    /// Tokens of all windows.
    public var tokens: Int
    /// `random`, or `tiers`.
    public var sampling: String
    /// Windows that were dropped because another has the same tokens.
    public var exactDuplicates: Int
    /// Windows that were dropped because another has nearly the same tokens.
    public var nearDuplicates: Int
    /// Mean loss of the five tiers of windows, nats per token; empty unless windows were graded.
    public var tierLosses: [Double]
    /// Empty when the method was named.
    public var trials: [Trial]

    public init(
      text: String, windows: Int, tokens: Int, sampling: String, exactDuplicates: Int = 0, nearDuplicates: Int = 0,
      tierLosses: [Double] = [], trials: [Trial] = []
    ) {
      self.text = text
      self.windows = windows
      self.tokens = tokens
      self.sampling = sampling
      self.exactDuplicates = exactDuplicates
      self.nearDuplicates = nearDuplicates
      self.tierLosses = tierLosses
      self.trials = trials
    }
  }
}

extension CompressionReport.Calibration: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      text: try reader.requiredString("text"), windows: try reader.count("windows") ?? 0, tokens: try reader.count("tokens") ?? 0,
      sampling: try reader.string("sampling") ?? "", exactDuplicates: try reader.count("exactDuplicates") ?? 0,
      nearDuplicates: try reader.count("nearDuplicates") ?? 0, tierLosses: try reader.doubles("tierLosses") ?? [],
      trials: try reader.sections("trials") ?? [])
  }

  func write(to writer: inout ReportWriter) {
    writer.set("text", text)
    writer.set("windows", windows)
    writer.set("tokens", tokens)
    writer.set("sampling", sampling)
    writer.set("exactDuplicates", exactDuplicates)
    writer.set("nearDuplicates", nearDuplicates)
    if !tierLosses.isEmpty { writer.set("tierLosses", tierLosses) }
    if !trials.isEmpty { writer.set("trials", trials) }
  }
}

extension CompressionReport.Calibration.Trial: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      algorithm: try reader.requiredString("algorithm"), klDivergence: try reader.double("klDivergence"),
      seconds: try reader.double("seconds"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("algorithm", algorithm)
    writer.set("klDivergence", klDivergence)
    writer.set("seconds", seconds)
  }
}
