extension CompressionReport {
  /// The program that wrote the report.
  public struct Tool: Sendable, Equatable {
    public var name: String
    public var version: String

    public init(name: String, version: String) {
      self.name = name
      self.version = version
    }
  }

  /// The model that was compressed.
  public struct Model: Sendable, Equatable {
    public var name: String
    /// The `model_type` of its configuration.
    public var family: String?
    /// How many parameters the source has.
    public var parameters: Int?

    public init(name: String, family: String? = nil, parameters: Int? = nil) {
      self.name = name
      self.family = family
      self.parameters = parameters
    }
  }

  /// SHA-256 digests of what went in, in lower-case hexadecimal.
  public struct Inputs: Sendable, Equatable {
    public var modelSHA256: String?
    public var calibrationSHA256: String?
    public var evalSHA256: String?
    /// What was trained on. An extension of schema 1.
    public var dataSHA256: String?
    /// The adapter that was merged: of the lines `<digest>  <name>` of its files. An extension of schema 1.
    public var adapterSHA256: String?

    public init(
      modelSHA256: String? = nil, calibrationSHA256: String? = nil, evalSHA256: String? = nil, dataSHA256: String? = nil,
      adapterSHA256: String? = nil
    ) {
      self.modelSHA256 = modelSHA256
      self.calibrationSHA256 = calibrationSHA256
      self.evalSHA256 = evalSHA256
      self.dataSHA256 = dataSHA256
      self.adapterSHA256 = adapterSHA256
    }
  }

  /// One written file. An extension of schema 1.
  public struct OutputFile: Sendable, Equatable {
    public var name: String
    public var bytes: Int?
    public var sha256: String?

    public init(name: String, bytes: Int? = nil, sha256: String? = nil) {
      self.name = name
      self.bytes = bytes
      self.sha256 = sha256
    }
  }
}

extension CompressionReport.Tool: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(name: try reader.requiredString("name"), version: try reader.requiredString("version"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("version", version)
  }
}

extension CompressionReport.Model: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      name: try reader.requiredString("name"), family: try reader.string("family"), parameters: try reader.count("parameters"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("family", family)
    writer.set("parameters", parameters)
  }
}

extension CompressionReport.Inputs: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      modelSHA256: try reader.string("modelSHA256"), calibrationSHA256: try reader.string("calibrationSHA256"),
      evalSHA256: try reader.string("evalSHA256"), dataSHA256: try reader.string("dataSHA256"),
      adapterSHA256: try reader.string("adapterSHA256"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("modelSHA256", modelSHA256)
    writer.set("calibrationSHA256", calibrationSHA256)
    writer.set("evalSHA256", evalSHA256)
    writer.set("dataSHA256", dataSHA256)
    writer.set("adapterSHA256", adapterSHA256)
  }
}

extension CompressionReport.OutputFile: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(name: try reader.requiredString("name"), bytes: try reader.count("bytes"), sha256: try reader.string("sha256"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("bytes", bytes)
    writer.set("sha256", sha256)
  }
}
