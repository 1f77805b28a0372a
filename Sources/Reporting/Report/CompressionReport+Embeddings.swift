extension CompressionReport {
  /// How far an encoder's embeddings agree with its source's. An extension of schema 1.
  public struct Embeddings: Sendable, Equatable {
    /// The text's file name.
    public var text: String
    public var sentences: Int
    /// How states become one vector: `mean`, `first` or `largest`.
    public var pooling: String?
    /// The cosine of both embeddings of a sentence: its mean, the value that one in a hundred is below, and the least.
    public var meanCosine: Double?
    public var p1Cosine: Double?
    public var leastCosine: Double?
    /// Share of sentences whose nearest other one is the same, 0 to 1.
    public var nearestAgreement: Double?
    /// The mean over sentences of Spearman's correlation of their cosines to all others.
    public var rankCorrelation: Double?

    public init(
      text: String, sentences: Int, pooling: String? = nil, meanCosine: Double? = nil, p1Cosine: Double? = nil, leastCosine: Double? = nil,
      nearestAgreement: Double? = nil, rankCorrelation: Double? = nil
    ) {
      self.text = text
      self.sentences = sentences
      self.pooling = pooling
      self.meanCosine = meanCosine
      self.p1Cosine = p1Cosine
      self.leastCosine = leastCosine
      self.nearestAgreement = nearestAgreement
      self.rankCorrelation = rankCorrelation
    }

    /// Every figure with what it is.
    var rows: [(name: String, value: String)] {
      let figures: [(String, String?)] = [
        ("cosine, mean", meanCosine.map { NumberText.fixed($0, 6) }), ("one in a hundred below", p1Cosine.map { NumberText.fixed($0, 6) }),
        ("least", leastCosine.map { NumberText.fixed($0, 6) }), ("same nearest sentence", nearestAgreement.map { NumberText.percent($0) }),
        ("rank correlation", rankCorrelation.map { NumberText.fixed($0, 4) }),
      ]
      return figures.compactMap { name, value in value.map { (name, $0) } }
    }
  }
}

extension CompressionReport.Embeddings: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      text: try reader.requiredString("text"), sentences: try reader.count("sentences") ?? 0, pooling: try reader.string("pooling"),
      meanCosine: try reader.double("meanCosine"), p1Cosine: try reader.double("p1Cosine"), leastCosine: try reader.double("leastCosine"),
      nearestAgreement: try reader.double("nearestAgreement"), rankCorrelation: try reader.double("rankCorrelation"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("text", text)
    writer.set("sentences", sentences)
    writer.set("pooling", pooling)
    writer.set("meanCosine", meanCosine)
    writer.set("p1Cosine", p1Cosine)
    writer.set("leastCosine", leastCosine)
    writer.set("nearestAgreement", nearestAgreement)
    writer.set("rankCorrelation", rankCorrelation)
  }
}
