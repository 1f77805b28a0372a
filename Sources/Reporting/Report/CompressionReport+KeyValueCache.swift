extension CompressionReport {
  /// What a quantized cache of keys and values saves and costs: the model of the report with that cache, against itself with a
  /// float32 cache, on the text of ``Accuracy``.
  public struct KeyValueCache: Sendable, Equatable {
    /// How elements are stored: `int8`.
    public var type: String
    /// Bytes of one token in the caches of all layers, scales included.
    public var bytesPerToken: Int?
    /// The same for float32.
    public var referenceBytesPerToken: Int?
    /// Perplexity over that with the float32 cache.
    public var perplexityRatio: Double?
    /// 95 % interval of ``perplexityRatio`` from the paired differences of windows.
    public var perplexityRatioInterval: Interval?
    /// KL(float32 cache ‖ quantized cache) per token, in nats.
    public var klDivergence: KLDivergence?
    /// Share of predictions whose most likely token is the same, 0 to 1.
    public var topTokenAgreement: Double?

    public init(
      type: String, bytesPerToken: Int? = nil, referenceBytesPerToken: Int? = nil, perplexityRatio: Double? = nil,
      perplexityRatioInterval: Interval? = nil, klDivergence: KLDivergence? = nil, topTokenAgreement: Double? = nil
    ) {
      self.type = type
      self.bytesPerToken = bytesPerToken
      self.referenceBytesPerToken = referenceBytesPerToken
      self.perplexityRatio = perplexityRatio
      self.perplexityRatioInterval = perplexityRatioInterval
      self.klDivergence = klDivergence
      self.topTokenAgreement = topTokenAgreement
    }

    /// Bytes over those of float32.
    var sizeRatio: Double? {
      guard let bytesPerToken, let referenceBytesPerToken, referenceBytesPerToken > 0 else { return nil }
      return Double(bytesPerToken) / Double(referenceBytesPerToken)
    }

    /// The relative change of perplexity with its interval, in words: `+0.02 %`, `-0.01 % to +0.05 %`.
    var perplexityChange: (value: String, interval: String)? {
      CompressionReport.Interval.change(perplexityRatio, perplexityRatioInterval)
    }
  }
}

extension CompressionReport.KeyValueCache: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      type: try reader.requiredString("type"), bytesPerToken: try reader.count("bytesPerToken"),
      referenceBytesPerToken: try reader.count("referenceBytesPerToken"), perplexityRatio: try reader.double("perplexityRatio"),
      perplexityRatioInterval: try CompressionReport.Interval(reader: reader, key: "perplexityRatioInterval"),
      klDivergence: try reader.section("klDivergence"), topTokenAgreement: try reader.double("topTokenAgreement"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("type", type)
    writer.set("bytesPerToken", bytesPerToken)
    writer.set("referenceBytesPerToken", referenceBytesPerToken)
    writer.set("perplexityRatio", perplexityRatio)
    writer.set("perplexityRatioInterval", perplexityRatioInterval.map { [$0.lower, $0.upper] })
    writer.set("klDivergence", klDivergence)
    writer.set("topTokenAgreement", topTokenAgreement)
  }
}
