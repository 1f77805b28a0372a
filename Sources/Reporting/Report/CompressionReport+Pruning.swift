extension CompressionReport {
  /// What pruning left of each dimension. An extension of schema 1.
  public struct Pruning: Sendable, Equatable {
    public var parameters: Int?
    public var keptParameters: Int?
    /// In model order.
    public var dimensions: [Dimension]

    /// One dimension: the channels of an MLP, the heads of an attention, the width of the residual stream.
    public struct Dimension: Sendable, Equatable {
      /// The block, `model.layers.3`, or `model` where it runs through all.
      public var name: String
      /// `mlp`, `heads`, or `hidden`.
      public var kind: String
      public var units: Int?
      public var kept: Int?
      /// The squared error of the outputs of what reads the dimension over their square, on calibration text: with the channels removed, and repaired.
      public var errorBefore: Double?
      public var errorAfter: Double?

      public init(
        name: String, kind: String, units: Int? = nil, kept: Int? = nil, errorBefore: Double? = nil, errorAfter: Double? = nil
      ) {
        self.name = name
        self.kind = kind
        self.units = units
        self.kept = kept
        self.errorBefore = errorBefore
        self.errorAfter = errorAfter
      }
    }

    /// What removing a share of one kind alone costs; nil when that was not asked for.
    public var scan: [ScanPoint]?

    /// A share of one kind removed, without repair.
    public struct ScanPoint: Sendable, Equatable {
      public var kind: String
      public var ratio: Double
      public var parameters: Int?
      public var klDivergence: Double?

      public init(kind: String, ratio: Double, parameters: Int? = nil, klDivergence: Double? = nil) {
        self.kind = kind
        self.ratio = ratio
        self.parameters = parameters
        self.klDivergence = klDivergence
      }
    }

    public init(parameters: Int? = nil, keptParameters: Int? = nil, dimensions: [Dimension] = [], scan: [ScanPoint]? = nil) {
      self.parameters = parameters
      self.keptParameters = keptParameters
      self.dimensions = dimensions
      self.scan = scan
    }

    /// Whether anything was repaired.
    var isRepaired: Bool { dimensions.contains { $0.errorAfter != nil } }

    /// What it comes to.
    var sentence: String {
      guard let parameters, let keptParameters, parameters > 0 else { return "" }
      let share = NumberText.percent(1 - Double(keptParameters) / Double(parameters), 1)
      return "\(NumberText.grouped(keptParameters)) of \(NumberText.grouped(parameters)) parameters stay, \(share) less"
        + (isRepaired ? "; the errors are of what reads the removed channels, on calibration text" : "; nothing was repaired")
    }
  }
}

extension CompressionReport.Pruning: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      parameters: try reader.count("parameters"), keptParameters: try reader.count("keptParameters"),
      dimensions: try reader.sections("dimensions") ?? [], scan: try reader.sections("scan"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("parameters", parameters)
    writer.set("keptParameters", keptParameters)
    writer.set("dimensions", dimensions)
    writer.set("scan", scan)
  }
}

extension CompressionReport.Pruning.Dimension: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      name: try reader.requiredString("name"), kind: try reader.requiredString("kind"), units: try reader.count("units"),
      kept: try reader.count("kept"), errorBefore: try reader.double("errorBefore"), errorAfter: try reader.double("errorAfter"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("kind", kind)
    writer.set("units", units)
    writer.set("kept", kept)
    writer.set("errorBefore", errorBefore)
    writer.set("errorAfter", errorAfter)
  }
}

extension CompressionReport.Pruning.ScanPoint: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      kind: try reader.requiredString("kind"), ratio: try reader.requiredDouble("ratio"), parameters: try reader.count("parameters"),
      klDivergence: try reader.double("klDivergence"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("kind", kind)
    writer.set("ratio", ratio)
    writer.set("parameters", parameters)
    writer.set("klDivergence", klDivergence)
  }
}
