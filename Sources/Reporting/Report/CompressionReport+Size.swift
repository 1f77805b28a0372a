extension CompressionReport {
  /// How large the checkpoint was and is, in bytes of tensor data and headers on disk.
  public struct Size: Sendable, Equatable {
    public var sourceBytes: Int?
    public var outputBytes: Int?
    /// Output over source: below one is smaller.
    public var ratio: Double?
    /// Over all weights of the output, scales and unquantized tensors included.
    public var bitsPerWeight: Double?
    /// Parameters of the output, as its configuration counts them. An extension of schema 1.
    public var parameters: Int?
    /// The share of the weights of linear layers, the head left out, that are zero; nil where none were set to zero. An extension of schema 1.
    public var sparsity: Double?
    /// The same bytes by kind of tensor. An extension of schema 1.
    public var byKind: [Kind]

    /// A kind of tensor and what it takes before and after.
    public struct Kind: Sendable, Equatable {
      /// `attention`, `mlp`, `embedding`, `head`, `norm` …
      public var kind: String
      public var sourceBytes: Int?
      public var outputBytes: Int?

      public init(kind: String, sourceBytes: Int? = nil, outputBytes: Int? = nil) {
        self.kind = kind
        self.sourceBytes = sourceBytes
        self.outputBytes = outputBytes
      }
    }

    public init(
      sourceBytes: Int? = nil, outputBytes: Int? = nil, ratio: Double? = nil, bitsPerWeight: Double? = nil, parameters: Int? = nil,
      sparsity: Double? = nil, byKind: [Kind] = []
    ) {
      self.sourceBytes = sourceBytes
      self.outputBytes = outputBytes
      self.ratio = ratio
      self.bitsPerWeight = bitsPerWeight
      self.parameters = parameters
      self.sparsity = sparsity
      self.byKind = byKind
    }
  }
}

extension CompressionReport.Size: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      sourceBytes: try reader.count("sourceBytes"), outputBytes: try reader.count("outputBytes"),
      ratio: try reader.double("ratio"), bitsPerWeight: try reader.double("bitsPerWeight"),
      parameters: try reader.count("parameters"), sparsity: try reader.double("sparsity"),
      byKind: try reader.sections("byKind") ?? [])
  }

  func write(to writer: inout ReportWriter) {
    writer.set("sourceBytes", sourceBytes)
    writer.set("outputBytes", outputBytes)
    writer.set("ratio", ratio)
    writer.set("bitsPerWeight", bitsPerWeight)
    writer.set("parameters", parameters)
    writer.set("sparsity", sparsity)
    if !byKind.isEmpty { writer.set("byKind", byKind) }
  }
}

extension CompressionReport.Size.Kind: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      kind: try reader.requiredString("kind"), sourceBytes: try reader.count("sourceBytes"),
      outputBytes: try reader.count("outputBytes"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("kind", kind)
    writer.set("sourceBytes", sourceBytes)
    writer.set("outputBytes", outputBytes)
  }
}
