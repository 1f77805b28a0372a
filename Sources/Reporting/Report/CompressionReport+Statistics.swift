extension CompressionReport {
  /// exp of the mean negative log-likelihood, and its standard error in the same unit.
  public struct Perplexity: Sendable, Equatable {
    public var perplexity: Double?
    public var standardError: Double?

    public init(perplexity: Double?, standardError: Double? = nil) {
      self.perplexity = perplexity
      self.standardError = standardError
    }
  }

  /// A confidence interval; `lower <= upper` when both are finite. Written as `[lower, upper]`.
  public struct Interval: Sendable, Equatable {
    public var lower: Double
    public var upper: Double

    public init(lower: Double, upper: Double) {
      self.lower = lower
      self.upper = upper
    }

    /// A change of perplexity with its interval, in words; nil without a ratio.
    static func change(_ ratio: Double?, _ interval: Interval?) -> (value: String, interval: String)? {
      guard let ratio, ratio.isFinite else { return nil }
      var words = ""
      if let interval, interval.lower.isFinite, interval.upper.isFinite {
        words = "\(NumberText.percentChange(interval.lower - 1)) to \(NumberText.percentChange(interval.upper - 1))"
      }
      return (NumberText.percentChange(ratio - 1), words)
    }
  }

  /// Statistics of the per-token KL divergence in nats; p999 is the 99.9th percentile.
  public struct KLDivergence: Sendable, Equatable {
    public var mean: Double?
    public var standardError: Double?
    public var median: Double?
    public var p95: Double?
    public var p99: Double?
    public var p999: Double?
    public var max: Double?

    public init(
      mean: Double?, standardError: Double? = nil, median: Double? = nil, p95: Double? = nil, p99: Double? = nil,
      p999: Double? = nil, max: Double? = nil
    ) {
      self.mean = mean
      self.standardError = standardError
      self.median = median
      self.p95 = p95
      self.p99 = p99
      self.p999 = p999
      self.max = max
    }
  }

  /// Predictions that changed between right and wrong: `gained` became right, `lost` became wrong.
  public struct Flips: Sendable, Equatable {
    public var gained: Int?
    public var lost: Int?

    public init(gained: Int?, lost: Int?) {
      self.gained = gained
      self.lost = lost
    }
  }

  /// Means over each window of the compressed model, in nats per token, in text order.
  public struct Windows: Sendable, Equatable {
    public var negativeLogLikelihood: [Double]?
    public var klDivergence: [Double]?

    public init(negativeLogLikelihood: [Double]? = nil, klDivergence: [Double]? = nil) {
      self.negativeLogLikelihood = negativeLogLikelihood
      self.klDivergence = klDivergence
    }
  }
}

extension CompressionReport.Perplexity: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(perplexity: try reader.double("perplexity"), standardError: try reader.double("standardError"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("perplexity", perplexity)
    writer.set("standardError", standardError)
  }
}

extension CompressionReport.Interval {
  init?(reader: ReportReader, key: String) throws(ReportError) {
    guard let bounds = try reader.doubles(key) else { return nil }
    guard bounds.count == 2, bounds[0] <= bounds[1] else {
      throw ReportError(reader.join(key), "expected [lower, upper] in ascending order")
    }
    self.init(lower: bounds[0], upper: bounds[1])
  }
}

extension CompressionReport.KLDivergence: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      mean: try reader.double("mean"), standardError: try reader.double("standardError"), median: try reader.double("median"),
      p95: try reader.double("p95"), p99: try reader.double("p99"), p999: try reader.double("p999"), max: try reader.double("max"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("mean", mean)
    writer.set("standardError", standardError)
    writer.set("median", median)
    writer.set("p95", p95)
    writer.set("p99", p99)
    writer.set("p999", p999)
    writer.set("max", max)
  }
}

extension CompressionReport.Flips: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(gained: try reader.count("gained"), lost: try reader.count("lost"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("gained", gained)
    writer.set("lost", lost)
  }
}

extension CompressionReport.Windows: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      negativeLogLikelihood: try reader.doubles("negativeLogLikelihood"), klDivergence: try reader.doubles("klDivergence"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("negativeLogLikelihood", negativeLogLikelihood)
    writer.set("klDivergence", klDivergence)
  }
}
