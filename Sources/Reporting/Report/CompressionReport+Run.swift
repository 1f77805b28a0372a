extension CompressionReport {
  /// Throughput of both models under the same conditions.
  public struct Speed: Sendable, Equatable {
    public var prefillTokensPerSecond: Pair?
    public var decodeTokensPerSecond: Pair?
    /// What products were computed in. An extension of schema 1.
    public var compute: String?

    /// One figure for each model.
    public struct Pair: Sendable, Equatable {
      public var reference: Double?
      public var compressed: Double?

      public init(reference: Double? = nil, compressed: Double? = nil) {
        self.reference = reference
        self.compressed = compressed
      }
    }

    public init(prefillTokensPerSecond: Pair? = nil, decodeTokensPerSecond: Pair? = nil, compute: String? = nil) {
      self.compute = compute
      self.prefillTokensPerSecond = prefillTokensPerSecond
      self.decodeTokensPerSecond = decodeTokensPerSecond
    }
  }

  /// What the run itself cost.
  public struct Resources: Sendable, Equatable {
    public var wallSeconds: Double?
    public var peakMemoryBytes: Int?
    public var bytesRead: Int?
    public var bytesWritten: Int?
    public var threads: Int?

    public init(
      wallSeconds: Double? = nil, peakMemoryBytes: Int? = nil, bytesRead: Int? = nil, bytesWritten: Int? = nil, threads: Int? = nil
    ) {
      self.wallSeconds = wallSeconds
      self.peakMemoryBytes = peakMemoryBytes
      self.bytesRead = bytesRead
      self.bytesWritten = bytesWritten
      self.threads = threads
    }
  }

  /// A limit that was declared before the run, and whether it held.
  public struct Gate: Sendable, Equatable {
    public var name: String
    public var limit: Double?
    public var value: Double?
    public var passed: Bool

    public init(name: String, limit: Double?, value: Double?, passed: Bool) {
      self.name = name
      self.limit = limit
      self.value = value
      self.passed = passed
    }
  }
}

extension CompressionReport.Speed: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      prefillTokensPerSecond: try reader.section("prefillTokensPerSecond"),
      decodeTokensPerSecond: try reader.section("decodeTokensPerSecond"), compute: try reader.string("compute"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("prefillTokensPerSecond", prefillTokensPerSecond)
    writer.set("decodeTokensPerSecond", decodeTokensPerSecond)
    writer.set("compute", compute)
  }
}

extension CompressionReport.Speed.Pair: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(reference: try reader.double("reference"), compressed: try reader.double("compressed"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("reference", reference)
    writer.set("compressed", compressed)
  }
}

extension CompressionReport.Resources: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      wallSeconds: try reader.double("wallSeconds"), peakMemoryBytes: try reader.count("peakMemoryBytes"),
      bytesRead: try reader.count("bytesRead"), bytesWritten: try reader.count("bytesWritten"),
      threads: try reader.count("threads"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("wallSeconds", wallSeconds)
    writer.set("peakMemoryBytes", peakMemoryBytes)
    writer.set("bytesRead", bytesRead)
    writer.set("bytesWritten", bytesWritten)
    writer.set("threads", threads)
  }
}

extension CompressionReport.Gate: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    guard let passed = try reader.bool("passed") else { throw ReportError(reader.join("passed"), "is missing") }
    self.init(
      name: try reader.requiredString("name"), limit: try reader.double("limit"), value: try reader.double("value"),
      passed: passed)
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("limit", limit)
    writer.set("value", value)
    writer.set("passed", passed)
  }
}
