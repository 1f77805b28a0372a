extension CompressionReport {
  /// What became of the experts that routers send tokens to.
  public struct Experts: Sendable, Equatable {
    /// Layers that have experts.
    public var layers: Int
    /// Experts of all layers together.
    public var experts: Int
    /// Those whose weights are all quantized.
    public var quantized: Int?
    /// Those that enough of the calibration text came to, those that too little came to (their layers say in `fallback` what was done), and
    /// those that nothing came to; nil when nothing was calibrated.
    public var calibrated: Int?
    public var scarce: Int?
    public var unreached: Int?
    /// Tokens of calibration text that came to the least visited expert, and to the one in the middle.
    public var leastTokens: Int?
    public var medianTokens: Int?

    public init(
      layers: Int, experts: Int, quantized: Int? = nil, calibrated: Int? = nil, scarce: Int? = nil, unreached: Int? = nil,
      leastTokens: Int? = nil, medianTokens: Int? = nil
    ) {
      self.layers = layers
      self.experts = experts
      self.quantized = quantized
      self.calibrated = calibrated
      self.scarce = scarce
      self.unreached = unreached
      self.leastTokens = leastTokens
      self.medianTokens = medianTokens
    }
  }
}

extension CompressionReport.Experts: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      layers: try reader.count("layers") ?? 0, experts: try reader.count("experts") ?? 0, quantized: try reader.count("quantized"),
      calibrated: try reader.count("calibrated"), scarce: try reader.count("scarce"), unreached: try reader.count("unreached"),
      leastTokens: try reader.count("leastTokens"), medianTokens: try reader.count("medianTokens"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("layers", layers)
    writer.set("experts", experts)
    writer.set("quantized", quantized)
    writer.set("calibrated", calibrated)
    writer.set("scarce", scarce)
    writer.set("unreached", unreached)
    writer.set("leastTokens", leastTokens)
    writer.set("medianTokens", medianTokens)
  }
}
