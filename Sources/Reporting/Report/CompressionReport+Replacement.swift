extension CompressionReport {
  /// Which modules gave way to others. An extension of schema 1.
  public struct Replacement: Sendable, Equatable {
    public var modules: [Module]

    /// One kind of module.
    public struct Module: Sendable, Equatable {
      /// `attention`, `activation`, `normalization` or `experts`.
      public var kind: String
      /// What the layers had, and have: `sliding window 256 in layers 0-2; global in 3`.
      public var before: String
      public var after: String

      public init(kind: String, before: String, after: String) { (self.kind, self.before, self.after) = (kind, before, after) }
    }

    public init(modules: [Module]) { self.modules = modules }
  }
}

extension CompressionReport.Replacement: ReportSection {
  init(reader: ReportReader) throws(ReportError) { self.init(modules: try reader.sections("modules") ?? []) }

  func write(to writer: inout ReportWriter) { writer.set("modules", modules) }
}

extension CompressionReport.Replacement.Module: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      kind: try reader.requiredString("kind"), before: try reader.requiredString("before"), after: try reader.requiredString("after"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("kind", kind)
    writer.set("before", before)
    writer.set("after", after)
  }
}
