import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What is trained on and what is held out.
struct FinetuneDataOptions: ParsableArguments {
  @Option(
    name: .customLong("data"),
    help: ArgumentHelp(
      "What to train on: .txt, or .jsonl with a \"text\", a \"prompt\" and \"completion\", or \"messages\" a line.", valueName: "file"))
  var file: String

  @Option(name: .customLong("eval"), help: ArgumentHelp("What to evaluate on, in the same forms.", valueName: "file"))
  var evaluation: String?

  @Option(help: "The share of the examples that is held out when no --eval is given. Default: 5%.")
  var heldOut: Share?

  @Option(help: "The most tokens that an evaluation runs on. Default: 32768.")
  var evalTokens = 32_768

  @Option(help: "Tokens a row: longer texts are cut, shorter examples share rows. Default: 512, at most the model's maximum.")
  var sequenceLength: Int?

  @Flag(name: .customLong("no-shuffle"), help: "Train in the order of the file.")
  var keepsOrder = false

  @Flag(help: "In the first pass, train from what the model finds easy to what it finds hard.")
  var curriculum = false

  var url: URL { URL(fileURLWithPath: file) }
  var evaluationURL: URL? { evaluation.map { URL(fileURLWithPath: $0) } }

  func validate() throws {
    if let heldOut, !(0..<1).contains(heldOut.value) { throw ValidationError("--held-out is not a share from 0 to below 1") }
    if let sequenceLength, sequenceLength < 2 { throw ValidationError("--sequence-length \(sequenceLength) is not at least 2") }
    if evalTokens < 2 { throw ValidationError("--eval-tokens \(evalTokens) is not at least 2") }
    if heldOut != nil, evaluation != nil {
      throw ValidationError("--held-out takes examples from the data when no --eval is given: give one of them")
    }
    if keepsOrder, curriculum { throw ValidationError("--no-shuffle and --curriculum each choose an order: give one of them") }
  }

  func apply(to settings: inout FinetuneSettings) {
    if let heldOut { settings.heldOut = heldOut.value }
    if let sequenceLength { settings.sequenceLength = sequenceLength }
    settings.evaluationTokens = evalTokens
    settings.shuffles = !keepsOrder
    settings.curriculum = curriculum
  }
}

/// What adapters are like, and what they stand beside.
struct AdapterOptions: ParsableArguments {
  @Option(help: "lora: adapters beside a model that stays as it is; full: all parameters.")
  var method = FinetuneSettings.Method.lora

  @Option(help: "The rank of an adapter. Default: 16.")
  var rank: Int?

  @Option(help: "An adapter is scaled by this over its rank. Default: 32.")
  var alpha: Float?

  @Option(
    help: ArgumentHelp(
      "A layer to adapt: its name or the end of it (q_proj, mlp.down_proj), or re: and a regular expression; all for every linear layer but the head. Repeatable. Default: the projections of queries, keys and values.",
      valueName: "pattern"))
  var target: [String] = []

  @Flag(help: "Scale adapters by alpha over the root of the rank (rsLoRA).")
  var rslora = false

  @Flag(help: "Train the lengths of the weights' rows on their own (DoRA).")
  var dora = false

  @Option(help: "How many times faster than A the factor B learns (LoRA+). Default: 1.")
  var loraPlus: Float?

  @Option(name: .customLong("bits"), help: "Quantize the model first, to 8, 6, 5, 4, 3 or 2 bits, and train beside that (QLoRA).")
  var bits: Int?

  @Option(
    help:
      "Weights that share a scale when the model is quantized first; 0 for one scale per output channel. Default: 0 at 8 bits, 64 below.")
  var groupSize: Int?

  @Option(name: .customLong("format"), help: "How the adapter is written: peft, or mlx. Default: peft.")
  var chosenFormat: AdapterFormat?

  var format: AdapterFormat { chosenFormat ?? .peft }

  func validate() throws {
    if let bits, ![8, 6, 5, 4, 3, 2].contains(bits) { throw ValidationError("--bits \(bits) is not 8, 6, 5, 4, 3 or 2") }
    if groupSize != nil, bits == nil { throw ValidationError("--group-size needs --bits: without it nothing is quantized") }
    if let loraPlus, !(loraPlus.isFinite && loraPlus > 0) { throw ValidationError("--lora-plus \(loraPlus) is not above 0") }
    let choosesAdapters = rslora || dora || !target.isEmpty || rank != nil || alpha != nil || loraPlus != nil || chosenFormat != nil
    if method == .full, choosesAdapters { throw ValidationError("--method full has no adapters to choose") }
  }

  func apply(to settings: inout FinetuneSettings) {
    settings.method = method
    settings.upRate = loraPlus ?? 1
    settings.adaptation = LowRankAdaptation(
      rank: rank ?? 16, alpha: alpha ?? 32, scaling: rslora ? .rankStabilized : .standard, magnitude: dora,
      targets: target.map { $0 == "all" ? LowRankAdaptation.allLayers : ModulePattern($0) })
  }

  /// What quantizes the model first.
  var base: (any CompressionPass)? { bits.map { MinimumSquaredError(bits: $0, groupSize: groupSize ?? ($0 == 8 ? 0 : 64)) } }
}

/// How it is trained.
struct TrainingOptions: ParsableArguments {
  @Option(help: "The highest learning rate. Default: 2e-4 for adapters, 2e-5 for all parameters.")
  var learningRate: Float?

  @Option(help: "How the learning rate falls: cosine, linear or constant.")
  var schedule = LearningRateSchedule.Shape.cosine

  @Option(help: "The share of the steps in which the learning rate rises. Default: 5%.")
  var warmup: Share?

  @Option(help: "Cosines one behind the other: warm restarts.")
  var cycles = 1

  @Option(help: "Passes over the data. Default: 1.")
  var epochs: Double?

  @Option(help: "Steps, instead of passes.")
  var steps: Int?

  @Option(help: "Rows that go through the model together.")
  var batchSize = 8

  @Option(help: "Batches whose gradients are added up for one step.")
  var accumulate = 1

  @Option(help: "What parameters decay by, times the learning rate.")
  var weightDecay: Float = 0.01

  @Option(help: "The longest gradient; 0 for any.")
  var clip: Float = 1

  @Option(help: "How the optimizer keeps its moments: float32, or int8.")
  var optimizerStates = StatePrecision.float32

  @Option(
    help:
      "What products are computed in: float32; bfloat16, which is faster where the processor has it; or float16, with a loss scale that adapts.")
  var precision = ProductPrecision.float32

  @Flag(help: "Keep all activations for the backward run: faster, for memory that grows with the layers.")
  var keepActivations = false

  @Option(help: "Steps between two evaluations. Default: a tenth of all.")
  var evalEvery: Int?

  @Option(help: "Evaluations without a better one before training ends; 0 for never.")
  var patience = 0

  @Option(help: "Steps between two saves of what --resume continues from.")
  var saveEvery = 50

  func validate() throws {
    if let learningRate, !(learningRate.isFinite && learningRate > 0) { throw ValidationError("--learning-rate is not above 0") }
    if let warmup, !(0...1).contains(warmup.value) { throw ValidationError("--warmup is not a share from 0 to 1") }
    if let steps, steps < 1 { throw ValidationError("--steps \(steps) is not at least 1") }
    if let epochs, !(epochs.isFinite && epochs > 0 && epochs < 1e6) { throw ValidationError("--epochs \(epochs) is not above 0") }
    if epochs != nil, steps != nil { throw ValidationError("--steps and --epochs each say how long to train: give one of them") }
    if cycles > 1, schedule != .cosine { throw ValidationError("--cycles are of --schedule cosine, which is not chosen") }
    if !(1...65536).contains(batchSize) { throw ValidationError("--batch-size \(batchSize) is not from 1 to 65536") }
    if !(1...65536).contains(accumulate) { throw ValidationError("--accumulate \(accumulate) is not from 1 to 65536") }
    if !(1...1000).contains(cycles) { throw ValidationError("--cycles \(cycles) is not from 1 to 1000") }
    if let evalEvery, evalEvery < 1 { throw ValidationError("--eval-every \(evalEvery) is not at least 1") }
    if saveEvery < 1 { throw ValidationError("--save-every \(saveEvery) is not at least 1") }
    if patience < 0 { throw ValidationError("--patience \(patience) is below 0") }
    if !(weightDecay.isFinite && weightDecay >= 0) { throw ValidationError("--weight-decay is below 0") }
    if !(clip.isFinite && clip >= 0) { throw ValidationError("--clip is below 0") }
  }

  func apply(to settings: inout FinetuneSettings, method: FinetuneSettings.Method) {
    settings.learningRate = learningRate ?? (method == .lora ? 2e-4 : 2e-5)
    settings.schedule = schedule
    settings.warmup = warmup?.value ?? 0.05
    settings.cycles = cycles
    settings.epochs = epochs ?? 1
    settings.steps = steps ?? 0
    settings.batchSize = batchSize
    settings.accumulation = accumulate
    settings.optimizer.weightDecay = weightDecay
    settings.optimizer.states = optimizerStates
    settings.clip = clip
    settings.evaluationInterval = evalEvery ?? 0
    settings.patience = patience
    settings.precision = precision
    settings.keepsActivations = keepActivations
  }
}

extension FinetuneSettings.Method: ExpressibleByArgument {}
extension LearningRateSchedule.Shape: ExpressibleByArgument {}
extension ProductPrecision: ExpressibleByArgument {}
extension StatePrecision: ExpressibleByArgument {}
extension AdapterFormat: ExpressibleByArgument {}
