extension CompressionReport {
  /// What one stage of a recipe left, measured against what the recipe began on. An extension of schema 1.
  public struct PassResult: Sendable, Equatable {
    /// The passes of the stage; `source` for what the recipe began on.
    public var name: String
    public var parameters: Int?
    /// Of the checkpoint's weights.
    public var bytes: Int?
    public var perplexity: Double?
    public var klDivergence: Double?
    public var topTokenAgreement: Double?
    public var seconds: Double?

    public init(
      name: String, parameters: Int? = nil, bytes: Int? = nil, perplexity: Double? = nil, klDivergence: Double? = nil,
      topTokenAgreement: Double? = nil, seconds: Double? = nil
    ) {
      self.name = name
      self.parameters = parameters
      self.bytes = bytes
      self.perplexity = perplexity
      self.klDivergence = klDivergence
      self.topTokenAgreement = topTokenAgreement
      self.seconds = seconds
    }
  }
}

extension CompressionReport.PassResult: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      name: try reader.requiredString("name"), parameters: try reader.count("parameters"), bytes: try reader.count("bytes"),
      perplexity: try reader.double("perplexity"), klDivergence: try reader.double("klDivergence"),
      topTokenAgreement: try reader.double("topTokenAgreement"), seconds: try reader.double("seconds"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("parameters", parameters)
    writer.set("bytes", bytes)
    writer.set("perplexity", perplexity)
    writer.set("klDivergence", klDivergence)
    writer.set("topTokenAgreement", topTokenAgreement)
    writer.set("seconds", seconds)
  }
}
