import StructuredData

extension CompressionReport {
  /// What distillation did, stage by stage. An extension of schema 1.
  public struct Distillation: Sendable, Equatable {
    /// The model that was learned from.
    public var teacher: String
    public var trainableParameters: Int?
    /// Tokens of held-out text that stages are measured on.
    public var heldOutTokens: Int?
    /// What the teacher's predictions took on the disk while they were needed.
    public var cacheBytes: Int?
    public var stages: [Stage]
    /// What becomes of the same student with stages left out; nil when that was not asked for.
    public var ablation: [Variant]?

    /// A model held against the teacher on text that is not trained on; KL divergences are means in nats per token.
    public struct Figures: Sendable, Equatable {
      public var klDivergence: Double?
      public var topTokenAgreement: Double?
      public var perplexity: Double?
      /// How alike the hidden states of mapped layers are: the mean of their linear CKA (Kornblith et al. 2019).
      public var centeredKernelAlignment: Double?
      /// The mean over mapped layers of what the first stage makes small.
      public var featureDistance: Double?
      /// The divergence on text with typing errors.
      public var noisyKLDivergence: Double?
      /// KL(student ‖ teacher) on what the student writes.
      public var ownTextKLDivergence: Double?
      /// The divergence with the student's embeddings moved against it, by how far.
      public var adversarial: [Adversarial]

      public struct Adversarial: Sendable, Equatable {
        /// The length of the perturbation of a token's embedding over the root mean square length of embeddings.
        public var epsilon: Double
        public var klDivergence: Double

        public init(epsilon: Double, klDivergence: Double) { (self.epsilon, self.klDivergence) = (epsilon, klDivergence) }
      }

      public init(
        klDivergence: Double? = nil, topTokenAgreement: Double? = nil, perplexity: Double? = nil, centeredKernelAlignment: Double? = nil,
        featureDistance: Double? = nil, noisyKLDivergence: Double? = nil, ownTextKLDivergence: Double? = nil,
        adversarial: [Adversarial] = []
      ) {
        self.klDivergence = klDivergence
        self.topTokenAgreement = topTokenAgreement
        self.perplexity = perplexity
        self.centeredKernelAlignment = centeredKernelAlignment
        self.featureDistance = featureDistance
        self.noisyKLDivergence = noisyKLDivergence
        self.ownTextKLDivergence = ownTextKLDivergence
        self.adversarial = adversarial
      }
    }

    public struct Stage: Sendable, Equatable {
      /// `features`, `logits`, `policy` or `robustness`.
      public var name: String
      public var steps: Int?
      /// Tokens that the student was trained on.
      public var tokens: Int?
      public var seconds: Double?
      public var losses: [Training.Point]
      /// Steps without a finite gradient, which changed nothing; nil when there were none.
      public var skippedSteps: Int?
      public var before: Figures
      public var after: Figures
      /// What the stage must make smaller to be kept.
      public var measure: String
      /// The change of that, and the interval that holds it with 95 %, over pairs of the same text before and after.
      public var change: Double?
      public var changeInterval: Interval?
      /// Whether it was kept; otherwise the student is what it was before.
      public var isKept: Bool
      /// Why it was not.
      public var reason: String?

      public init(
        name: String, steps: Int? = nil, tokens: Int? = nil, seconds: Double? = nil, losses: [Training.Point] = [],
        skippedSteps: Int? = nil,
        before: Figures,
        after: Figures, measure: String, change: Double? = nil, changeInterval: Interval? = nil, isKept: Bool, reason: String? = nil
      ) {
        self.name = name
        self.steps = steps
        self.tokens = tokens
        self.seconds = seconds
        self.losses = losses
        self.skippedSteps = skippedSteps
        self.before = before
        self.after = after
        self.measure = measure
        self.change = change
        self.changeInterval = changeInterval
        self.isKept = isKept
        self.reason = reason
      }
    }

    /// The student after some of the stages, over several seeds.
    public struct Variant: Sendable, Equatable {
      /// The stages that ran, or `cross-entropy` for training on the text alone.
      public var name: String
      public var seeds: Int
      public var steps: Int?
      /// Means over the seeds, and standard deviations of single runs.
      public var seconds: Double?
      public var figures: Figures
      public var klDeviation: Double?
      public var perplexityDeviation: Double?

      public init(
        name: String, seeds: Int, steps: Int? = nil, seconds: Double? = nil, figures: Figures, klDeviation: Double? = nil,
        perplexityDeviation: Double? = nil
      ) {
        self.name = name
        self.seeds = seeds
        self.steps = steps
        self.seconds = seconds
        self.figures = figures
        self.klDeviation = klDeviation
        self.perplexityDeviation = perplexityDeviation
      }
    }

    public init(
      teacher: String, trainableParameters: Int? = nil, heldOutTokens: Int? = nil, cacheBytes: Int? = nil, stages: [Stage] = [],
      ablation: [Variant]? = nil
    ) {
      self.teacher = teacher
      self.trainableParameters = trainableParameters
      self.heldOutTokens = heldOutTokens
      self.cacheBytes = cacheBytes
      self.stages = stages
      self.ablation = ablation
    }
  }
}

extension CompressionReport.Distillation: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      teacher: try reader.requiredString("teacher"), trainableParameters: try reader.count("trainableParameters"),
      heldOutTokens: try reader.count("heldOutTokens"), cacheBytes: try reader.count("cacheBytes"),
      stages: try reader.sections("stages") ?? [], ablation: try reader.sections("ablation"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("teacher", teacher)
    writer.set("trainableParameters", trainableParameters)
    writer.set("heldOutTokens", heldOutTokens)
    writer.set("cacheBytes", cacheBytes)
    writer.set("stages", stages)
    writer.set("ablation", ablation)
  }
}

extension CompressionReport.Distillation.Figures: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      klDivergence: try reader.double("klDivergence"), topTokenAgreement: try reader.double("topTokenAgreement"),
      perplexity: try reader.double("perplexity"), centeredKernelAlignment: try reader.double("centeredKernelAlignment"),
      featureDistance: try reader.double("featureDistance"), noisyKLDivergence: try reader.double("noisyKLDivergence"),
      ownTextKLDivergence: try reader.double("ownTextKLDivergence"),
      adversarial: try reader.sections("adversarial") ?? [])
  }

  func write(to writer: inout ReportWriter) {
    writer.set("klDivergence", klDivergence)
    writer.set("topTokenAgreement", topTokenAgreement)
    writer.set("perplexity", perplexity)
    writer.set("centeredKernelAlignment", centeredKernelAlignment)
    writer.set("featureDistance", featureDistance)
    writer.set("noisyKLDivergence", noisyKLDivergence)
    writer.set("ownTextKLDivergence", ownTextKLDivergence)
    if !adversarial.isEmpty { writer.set("adversarial", adversarial) }
  }
}

extension CompressionReport.Distillation.Figures.Adversarial: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(epsilon: try reader.requiredDouble("epsilon"), klDivergence: try reader.requiredDouble("klDivergence"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("epsilon", epsilon)
    writer.set("klDivergence", klDivergence)
  }
}

extension CompressionReport.Distillation.Stage: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    guard let isKept = try reader.bool("kept") else { throw ReportError(reader.join("kept"), "is missing") }
    self.init(
      name: try reader.requiredString("name"), steps: try reader.count("steps"), tokens: try reader.count("tokens"),
      seconds: try reader.double("seconds"), losses: try reader.sections("losses") ?? [],
      skippedSteps: try reader.count("skippedSteps"), before: try reader.requiredSection("before"),
      after: try reader.requiredSection("after"), measure: try reader.requiredString("measure"), change: try reader.double("change"),
      changeInterval: try CompressionReport.Interval(reader: reader, key: "changeInterval"), isKept: isKept,
      reason: try reader.string("reason"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("kept", isKept)
    writer.set("reason", reason)
    writer.set("steps", steps)
    writer.set("tokens", tokens)
    writer.set("seconds", seconds)
    writer.set("skippedSteps", skippedSteps)
    writer.set("measure", measure)
    writer.set("change", change)
    writer.set("changeInterval", changeInterval.map { [$0.lower, $0.upper] })
    writer.set("before", before)
    writer.set("after", after)
    writer.set("losses", losses)
  }
}

extension CompressionReport.Distillation.Variant: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    self.init(
      name: try reader.requiredString("name"), seeds: try reader.count("seeds") ?? 1, steps: try reader.count("steps"),
      seconds: try reader.double("seconds"), figures: try reader.requiredSection("figures"),
      klDeviation: try reader.double("klDeviation"), perplexityDeviation: try reader.double("perplexityDeviation"))
  }

  func write(to writer: inout ReportWriter) {
    writer.set("name", name)
    writer.set("seeds", seeds)
    writer.set("steps", steps)
    writer.set("seconds", seconds)
    writer.set("figures", figures)
    writer.set("klDeviation", klDeviation)
    writer.set("perplexityDeviation", perplexityDeviation)
  }
}

extension CompressionReport.Distillation {
  /// The section alone, as a run keeps it that goes on later.
  package var json: JSONValue {
    var writer = ReportWriter()
    write(to: &writer)
    return .object(writer.object)
  }

  package init(json: JSONValue) throws(ReportError) { try self.init(reader: ReportReader(json, path: "distillation")) }
}
