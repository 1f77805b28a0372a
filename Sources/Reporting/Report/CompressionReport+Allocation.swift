extension CompressionReport {
  /// How the bits of the layers were chosen, when they were chosen by measurement.
  public struct Allocation: Sendable, Equatable {
    /// `target-bpw` or `max-kl`.
    public var goal: String
    /// Bits per quantized weight, or nats per token.
    public var limit: Double?
    /// Over the weights that are quantized; codes, scales and zero points count.
    public var bitsPerWeight: Double?
    /// Weights that are quantized.
    public var weights: Int?
    /// Their codes, scales and zero points.
    public var bytes: Int?
    /// Mean KL divergence in nats per token that the sensitivities predict.
    public var predictedKL: Double?
    /// The same measured on calibration text that was held out.
    public var measuredKL: Double?
    /// How far the choice may be from the best within the limit: nats per token of predicted divergence for `target-bpw`, bytes for
    /// `max-kl`. 0 when it is the best, above 0 when there were too many to search exactly.
    public var gap: Double?
    /// Predictions that `measuredKL` is the mean of.
    public var heldOutTokens: Int?
    /// What measuring sensitivities and solving took.
    public var seconds: Double?
    /// Every choice that was quantized and measured, in this order; one of them is kept.
    public var rounds: [Round]
    /// What was chosen, in model order.
    public var groups: [Group]

    /// One choice.
    public struct Round: Sendable, Equatable {
      public var bitsPerWeight: Double?
      public var predictedKL: Double?
      public var measuredKL: Double?
      /// Whether this choice is the result.
      public var isKept: Bool?

      public init(bitsPerWeight: Double? = nil, predictedKL: Double? = nil, measuredKL: Double? = nil, isKept: Bool? = nil) {
        self.bitsPerWeight = bitsPerWeight
        self.predictedKL = predictedKL
        self.measuredKL = measuredKL
        self.isKept = isKept
      }
    }

    /// Layers that share their bits.
    public struct Group: Sendable, Equatable {
      /// `model.layers.3.self_attn.{q_proj,k_proj,v_proj}`.
      public var name: String
      public var layers: [String]
      public var bits: Int?
      /// Weights that share a scale; 0 for one scale per output channel.
      public var groupSize: Int?
      public var weights: Int?
      public var bytes: Int?
      /// What it adds to the predicted divergence.
      public var predictedKL: Double?

      public init(
        name: String, layers: [String] = [], bits: Int? = nil, groupSize: Int? = nil, weights: Int? = nil, bytes: Int? = nil,
        predictedKL: Double? = nil
      ) {
        self.name = name
        self.layers = layers
        self.bits = bits
        self.groupSize = groupSize
        self.weights = weights
        self.bytes = bytes
        self.predictedKL = predictedKL
      }
    }

    public init(
      goal: String, limit: Double? = nil, bitsPerWeight: Double? = nil, weights: Int? = nil, bytes: Int? = nil, predictedKL: Double? = nil,
      measuredKL: Double? = nil, gap: Double? = nil, heldOutTokens: Int? = nil, seconds: Double? = nil, rounds: [Round] = [],
      groups: [Group] = []
    ) {
      self.goal = goal
      self.limit = limit
      self.bitsPerWeight = bitsPerWeight
      self.weights = weights
      self.bytes = bytes
      self.predictedKL = predictedKL
      self.measuredKL = measuredKL
      self.gap = gap
      self.heldOutTokens = heldOutTokens
      self.seconds = seconds
      self.rounds = rounds
      self.groups = groups
    }
  }
}

extension CompressionReport.Allocation: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      goal: try reader.requiredString("goal"), limit: try reader.double("limit"), bitsPerWeight: try reader.double("bitsPerWeight"),
      weights: try reader.count("weights"), bytes: try reader.count("bytes"), predictedKL: try reader.double("predictedKL"),
      measuredKL: try reader.double("measuredKL"), gap: try reader.double("gap"), heldOutTokens: try reader.count("heldOutTokens"),
      seconds: try reader.double("seconds"), rounds: try reader.sections("rounds") ?? [], groups: try reader.sections("groups") ?? [])
  }

  func write(to writer: inout ReportWriter) {
    writer.set("goal", goal)
    writer.set("limit", limit)
    writer.set("bitsPerWeight", bitsPerWeight)
    writer.set("weights", weights)
    writer.set("bytes", bytes)
    writer.set("predictedKL", predictedKL)
    writer.set("measuredKL", measuredKL)
    writer.set("gap", gap)
    writer.set("heldOutTokens", heldOutTokens)
    writer.set("seconds", seconds)
    writer.set("rounds", rounds)
    writer.set("groups", groups)
  }
}

extension CompressionReport.Allocation.Round: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      bitsPerWeight: try reader.double("bitsPerWeight"), predictedKL: try reader.double("predictedKL"),
      measuredKL: try reader.double("measuredKL"), isKept: try reader.bool("kept"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("bitsPerWeight", bitsPerWeight)
    writer.set("predictedKL", predictedKL)
    writer.set("measuredKL", measuredKL)
    writer.set("kept", isKept)
  }
}

extension CompressionReport.Allocation.Group: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      name: try reader.requiredString("name"), layers: try reader.strings("layers") ?? [], bits: try reader.count("bits"),
      groupSize: try reader.count("groupSize"), weights: try reader.count("weights"), bytes: try reader.count("bytes"),
      predictedKL: try reader.double("predictedKL"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("layers", layers)
    writer.set("bits", bits)
    writer.set("groupSize", groupSize)
    writer.set("weights", weights)
    writer.set("bytes", bytes)
    writer.set("predictedKL", predictedKL)
  }
}
