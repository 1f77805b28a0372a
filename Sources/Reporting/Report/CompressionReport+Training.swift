extension CompressionReport {
  /// What training did: the losses on the way, and those that were kept. Losses are means over predictions that count, in nats. An extension of schema 1.
  public struct Training: Sendable, Equatable {
    /// One measurement on the way.
    public struct Point: Sendable, Equatable {
      /// Steps of the optimizer that were made before it.
      public var step: Int
      public var loss: Double

      public init(step: Int, loss: Double) {
        self.step = step
        self.loss = loss
      }
    }

    /// What is trained: `lora`, `full`, `qat`.
    public var method: String
    /// What losses are: `cross-entropy` with the text, or `KL divergence` from the model before.
    public var loss: String
    public var trainableParameters: Int?
    public var steps: Int?
    public var tokensPerStep: Double?
    public var tokensPerSecond: Double?
    /// Of every step, or of evenly chosen ones when there are many.
    public var losses: [Point]
    /// On text that is not trained on.
    public var evaluations: [Point]
    /// The evaluation that was kept.
    public var bestStep: Int?
    /// Whether it ended before the planned number of steps because evaluations no longer improved.
    public var stoppedEarly: Bool
    /// Predictions that each evaluation scores.
    public var evaluationTokens: Int?
    /// Examples that were trained on.
    public var examples: Int?

    public init(
      method: String, loss: String = Self.crossEntropy, trainableParameters: Int? = nil, steps: Int? = nil,
      tokensPerStep: Double? = nil, tokensPerSecond: Double? = nil, losses: [Point] = [], evaluations: [Point] = [], bestStep: Int? = nil,
      stoppedEarly: Bool = false, evaluationTokens: Int? = nil,
      examples: Int? = nil
    ) {
      self.method = method
      self.loss = loss
      self.trainableParameters = trainableParameters
      self.steps = steps
      self.tokensPerStep = tokensPerStep
      self.tokensPerSecond = tokensPerSecond
      self.losses = losses
      self.evaluations = evaluations
      self.bestStep = bestStep
      self.stoppedEarly = stoppedEarly
      self.evaluationTokens = evaluationTokens
      self.examples = examples
    }

    public static let crossEntropy = "cross-entropy"
    public static let divergence = "KL divergence"

    /// The evaluation before the first step, and the one that was kept.
    var improvement: (before: Point, kept: Point)? {
      guard let before = evaluations.first(where: { $0.step == 0 }), let best = bestStep,
        let kept = evaluations.last(where: { $0.step == best })
      else { return nil }
      return (before, kept)
    }
  }
}

extension CompressionReport.Training: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      method: try reader.requiredString("method"), loss: try reader.string("loss") ?? Self.crossEntropy,
      trainableParameters: try reader.count("trainableParameters"),
      steps: try reader.count("steps"), tokensPerStep: try reader.double("tokensPerStep"),
      tokensPerSecond: try reader.double("tokensPerSecond"), losses: try reader.sections("losses") ?? [],
      evaluations: try reader.sections("evaluations") ?? [], bestStep: try reader.count("bestStep"),
      stoppedEarly: try reader.bool("stoppedEarly") ?? false, evaluationTokens: try reader.count("evaluationTokens"),
      examples: try reader.count("examples"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("method", method)
    writer.set("loss", loss)
    writer.set("trainableParameters", trainableParameters)
    writer.set("examples", examples)
    writer.set("steps", steps)
    writer.set("bestStep", bestStep)
    writer.set("stoppedEarly", stoppedEarly)
    writer.set("tokensPerStep", tokensPerStep)
    writer.set("tokensPerSecond", tokensPerSecond)
    writer.set("evaluationTokens", evaluationTokens)
    writer.set("evaluations", evaluations)
    writer.set("losses", losses)
  }
}

extension CompressionReport.Training.Point: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    guard let step = try reader.count("step"), let loss = try reader.double("loss") else {
      throw ReportError(reader.join("step"), "or loss is missing")
    }
    self.init(step: step, loss: loss)
  }

  func write(to writer: inout ReportWriter) {
    writer.set("step", step)
    writer.set("loss", loss)
  }
}
