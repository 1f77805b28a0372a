extension CompressionReport {
  /// The compressed weights with one way of bringing in activations, against the uncompressed model on the text of ``Accuracy``.
  public struct ActivationForm: Sendable, Equatable {
    /// `none` (floating point), `int8` (a scale per token, found at run time), `int8-static` (a stored scale per layer).
    public var kind: String
    /// Perplexity over that of the uncompressed model.
    public var perplexityRatio: Double?
    /// 95 % interval of ``perplexityRatio`` from the paired differences of windows.
    public var perplexityRatioInterval: Interval?
    /// KL(uncompressed ‖ compressed) per token, in nats.
    public var klDivergence: KLDivergence?
    /// Share of predictions whose most likely token is the same, 0 to 1.
    public var topTokenAgreement: Double?

    public init(
      kind: String, perplexityRatio: Double? = nil, perplexityRatioInterval: Interval? = nil, klDivergence: KLDivergence? = nil,
      topTokenAgreement: Double? = nil
    ) {
      self.kind = kind
      self.perplexityRatio = perplexityRatio
      self.perplexityRatioInterval = perplexityRatioInterval
      self.klDivergence = klDivergence
      self.topTokenAgreement = topTokenAgreement
    }

    /// In words: what the rows of tables are called.
    var title: String {
      switch kind {
      case "none": "floating point"
      case "int8": "int8 per token"
      case "int8-static": "int8 static"
      default: TerminalText.elided(TerminalText.sanitized(kind), to: 30)
      }
    }

    /// The relative change of perplexity with its interval, in words.
    var perplexityChange: (value: String, interval: String)? {
      CompressionReport.Interval.change(perplexityRatio, perplexityRatioInterval)
    }
  }
}

extension CompressionReport.ActivationForm: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      kind: try reader.requiredString("kind"), perplexityRatio: try reader.double("perplexityRatio"),
      perplexityRatioInterval: try CompressionReport.Interval(reader: reader, key: "perplexityRatioInterval"),
      klDivergence: try reader.section("klDivergence"), topTokenAgreement: try reader.double("topTokenAgreement"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("kind", kind)
    writer.set("perplexityRatio", perplexityRatio)
    writer.set("perplexityRatioInterval", perplexityRatioInterval.map { [$0.lower, $0.upper] })
    writer.set("klDivergence", klDivergence)
    writer.set("topTokenAgreement", topTokenAgreement)
  }
}
