extension CompressionReport {
  /// How well one weight matrix survived.
  public struct Layer: Sendable, Equatable {
    /// The parameter's scope, such as `model.layers.3.self_attn.q_proj`.
    public var name: String
    /// Bits per code.
    public var bits: Double?
    /// Weights that share a scale along the input axis; 0 means one scale per output channel.
    public var groupSize: Int?
    /// The stored form, such as `int4` or `q4_K`.
    public var format: String?
    /// 10·log10(‖W‖² / ‖W − Ŵ‖²).
    public var weightSQNRdB: Double?
    /// The same of the layer's output on calibration or evaluation inputs.
    public var outputSQNRdB: Double?
    /// Share of weights beyond the representable range, 0 to 1.
    public var clippedFraction: Double?
    /// Share of the calibration text's inputs beyond the range of a static input scale, 0 to 1. An extension of schema 1.
    public var inputClippedFraction: Double?
    /// Groups that hold weights other than zero and are stored as zeros alone; absent where there are none. An extension of schema 1.
    public var vanishedGroups: Int?
    /// Tokens of calibration text that came to it, for a layer of an expert that tokens are sent to. An extension of schema 1.
    public var calibrationTokens: Int?
    /// What was done instead when the method could not be applied; nil when it could.
    public var fallback: String?

    public init(
      name: String, bits: Double? = nil, groupSize: Int? = nil, format: String? = nil, weightSQNRdB: Double? = nil,
      outputSQNRdB: Double? = nil, clippedFraction: Double? = nil, inputClippedFraction: Double? = nil, calibrationTokens: Int? = nil,
      fallback: String? = nil, vanishedGroups: Int? = nil
    ) {
      self.name = name
      self.bits = bits
      self.groupSize = groupSize
      self.format = format
      self.weightSQNRdB = weightSQNRdB
      self.outputSQNRdB = outputSQNRdB
      self.clippedFraction = clippedFraction
      self.inputClippedFraction = inputClippedFraction
      self.calibrationTokens = calibrationTokens
      self.fallback = fallback
      self.vanishedGroups = vanishedGroups
    }
  }
}

extension CompressionReport.Layer: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      name: try reader.requiredString("name"), bits: try reader.double("bits"), groupSize: try reader.count("groupSize"),
      format: try reader.string("format"), weightSQNRdB: try reader.double("weightSQNRdB"),
      outputSQNRdB: try reader.double("outputSQNRdB"), clippedFraction: try reader.double("clippedFraction"),
      inputClippedFraction: try reader.double("inputClippedFraction"),
      calibrationTokens: try reader.count("calibrationTokens"), fallback: try reader.string("fallback"),
      vanishedGroups: try reader.count("vanishedGroups"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("bits", bits)
    writer.set("groupSize", groupSize)
    writer.set("format", format)
    writer.set("weightSQNRdB", weightSQNRdB)
    writer.set("outputSQNRdB", outputSQNRdB)
    writer.set("clippedFraction", clippedFraction)
    writer.set("inputClippedFraction", inputClippedFraction)
    writer.set("vanishedGroups", vanishedGroups)
    writer.set("calibrationTokens", calibrationTokens)
    writer.set("fallback", fallback)
  }
}
