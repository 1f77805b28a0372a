extension CompressionReport {
  /// How the compressed model's next-token distributions compare with the reference's, over the same scored predictions.
  public struct Accuracy: Sendable, Equatable {
    /// The name of the text that was scored.
    public var text: String?
    /// How many predictions were scored.
    public var tokens: Int?
    /// Window length in tokens; each window is run alone and scores `context - 1` predictions.
    public var context: Int?
    public var reference: Perplexity?
    public var compressed: Perplexity?
    /// Compressed perplexity over reference perplexity.
    public var perplexityRatio: Double?
    /// 95 % interval of ``perplexityRatio`` from the paired differences of negative log-likelihood.
    public var perplexityRatioInterval: Interval?
    /// KL(reference ‖ compressed) per token, in nats.
    public var klDivergence: KLDivergence?
    /// Share of predictions whose most likely token is the same, 0 to 1.
    public var topTokenAgreement: Double?
    public var flips: Flips?
    /// How the per-token KL divergence is distributed. An extension of schema 1.
    public var klHistogram: Histogram?
    /// Means over each window, in text order, from which two reports can be tested pairwise. An extension of schema 1.
    public var windows: Windows?
    /// What products were computed in, when it was not float32. An extension of schema 1.
    public var compute: String?

    public init(
      text: String? = nil, tokens: Int? = nil, context: Int? = nil, reference: Perplexity? = nil, compressed: Perplexity? = nil,
      perplexityRatio: Double? = nil, perplexityRatioInterval: Interval? = nil, klDivergence: KLDivergence? = nil,
      topTokenAgreement: Double? = nil, flips: Flips? = nil, klHistogram: Histogram? = nil, windows: Windows? = nil
    ) {
      self.text = text
      self.tokens = tokens
      self.context = context
      self.reference = reference
      self.compressed = compressed
      self.perplexityRatio = perplexityRatio
      self.perplexityRatioInterval = perplexityRatioInterval
      self.klDivergence = klDivergence
      self.topTokenAgreement = topTokenAgreement
      self.flips = flips
      self.klHistogram = klHistogram
      self.windows = windows
    }
  }
}

extension CompressionReport.Accuracy: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      text: try reader.string("text"), tokens: try reader.count("tokens"), context: try reader.count("context"),
      reference: try reader.section("reference"), compressed: try reader.section("compressed"),
      perplexityRatio: try reader.double("perplexityRatio"),
      perplexityRatioInterval: try CompressionReport.Interval(reader: reader, key: "perplexityRatioInterval"),
      klDivergence: try reader.section("klDivergence"), topTokenAgreement: try reader.double("topTokenAgreement"),
      flips: try reader.section("flips"), klHistogram: try reader.section("klHistogram"), windows: try reader.section("windows"))
    compute = try reader.string("compute")
  }

  func write(to writer: inout ReportWriter) {
    writer.set("text", text)
    writer.set("tokens", tokens)
    writer.set("context", context)
    writer.set("reference", reference)
    writer.set("compressed", compressed)
    writer.set("perplexityRatio", perplexityRatio)
    writer.set("perplexityRatioInterval", perplexityRatioInterval.map { [$0.lower, $0.upper] })
    writer.set("klDivergence", klDivergence)
    writer.set("topTokenAgreement", topTokenAgreement)
    writer.set("flips", flips)
    writer.set("klHistogram", klHistogram)
    writer.set("windows", windows)
    writer.set("compute", compute)
  }
}
