import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What is trained on and what is held out.
struct FinetuneDataOptions: ParsableArguments {
  @Option(
    name: .customLong("data"),
    help: ArgumentHelp(
      "What to train on: .txt, or .jsonl with a \"text\", a \"prompt\" and \"completion\", or \"messages\" a line.", valueName: "file"),
    completion: .text)
  var file: String?

  @Option(name: .customLong("eval"), help: ArgumentHelp("What to evaluate on, in the same forms.", valueName: "file"), completion: .text)
  var evaluation: String?

  @Option(
    help: ArgumentHelp("The share of the examples that is held out when no --eval is given. Default: 5%.", valueName: "share"),
    transform: Share.read)
  var heldOut: Share?

  @Option(
    help: ArgumentHelp("The most tokens that an evaluation runs on: 20000, 20k. Default: 32768.", valueName: "count"), transform: Count.read
  )
  var evalTokens: Count?

  @Option(
    help: ArgumentHelp(
      "Tokens a row: longer texts are cut, shorter examples share rows. Default: 512, at most the model's maximum.", valueName: "count"),
    transform: Count.windowLength)
  var sequenceLength: Int?

  @Flag(name: .customLong("no-shuffle"), help: "Train in the order of the file.")
  var keepsOrder = false

  @Flag(help: "In the first pass, train from what the model finds easy to what it finds hard.")
  var curriculum = false

  func url() throws -> URL {
    guard let file else { throw ValidationError("Missing expected argument '--data <file>'") }
    return URL(fileURLWithPath: file)
  }

  var evaluationURL: URL? { evaluation.map { URL(fileURLWithPath: $0) } }

  func validate() throws {
    if let heldOut, !(0..<1).contains(heldOut.value) { throw ValidationError("--held-out is not a share from 0 to below 1") }
    if let evalTokens, evalTokens.value < 2 { throw ValidationError("--eval-tokens \(evalTokens.value) is not at least 2") }
    if heldOut != nil, evaluation != nil {
      throw ValidationError("--held-out takes examples from the data when no --eval is given: give one of them")
    }
    if keepsOrder, curriculum { throw ValidationError("--no-shuffle and --curriculum each choose an order: give one of them") }
  }

  func apply(to settings: inout FinetuneSettings) {
    if let heldOut { settings.heldOut = heldOut.value }
    if let sequenceLength { settings.sequenceLength = sequenceLength }
    if let evalTokens { settings.evaluationTokens = evalTokens.value }
    if keepsOrder { (settings.shuffles, settings.curriculum) = (false, false) }
    if curriculum { settings.curriculum = true }
  }
}

/// What adapters are like, and what they stand beside.
struct AdapterOptions: ParsableArguments {
  @Option(help: "lora: adapters beside a model that stays as it is; full: all parameters. Default: lora.")
  var method: FinetuneSettings.Method?

  @Option(help: ArgumentHelp("The rank of an adapter. Default: 16.", valueName: "count"), transform: Count.number)
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

  @Option(
    help: """
      Where adapters start: zero (they change nothing), pissa (from the leading singular vectors of the weights), or loftq (from what \
      quantizing the model takes from them; with --bits or --nf4). Default: zero.
      """)
  var start: LowRankAdaptation.Start?

  @Option(help: "How many times faster than A the factor B learns (LoRA+). Default: 1.")
  var loraPlus: Float?

  @Option(
    name: .customLong("bits"), help: "Quantize the model first, to 8, 6, 5, 4, 3 or 2 bits, and train beside that (QLoRA).",
    completion: .bits)
  var bits: Int?

  @Flag(help: "Quantize the model first to NF4, as bitsandbytes does, in groups of 64.")
  var nf4 = false

  @Option(
    help:
      "Weights that share a scale when the model is quantized first; 0 for one scale per output channel. Default: 0 at 8 bits, 64 below.",
    completion: .groupSize)
  var groupSize: Int?

  @Option(name: .customLong("format"), help: "How the adapter is written: peft, or mlx. Default: peft.")
  var chosenFormat: AdapterFormat?

  var format: AdapterFormat { chosenFormat ?? .peft }

  func validate() throws {
    if let bits, ![8, 6, 5, 4, 3, 2].contains(bits) { throw ValidationError("--bits \(bits) is not 8, 6, 5, 4, 3 or 2") }
    if nf4, bits != nil { throw ValidationError("--nf4 and --bits each say what the model is quantized to: give one of them") }
    if let loraPlus, !(loraPlus.isFinite && loraPlus > 0) { throw ValidationError("--lora-plus \(loraPlus) is not above 0") }
  }

  private var choosesAdapters: Bool {
    rslora || dora || !target.isEmpty || rank != nil || alpha != nil || loraPlus != nil || start != nil || chosenFormat != nil
  }

  func apply(to settings: inout FinetuneSettings) throws {
    if let method { settings.method = method }
    if settings.method == .full, choosesAdapters { throw ValidationError("--method full has no adapters to choose") }
    if let loraPlus { settings.upRate = loraPlus }
    if let rank { settings.adaptation.rank = rank }
    if let alpha { settings.adaptation.alpha = alpha }
    if rslora { settings.adaptation.scaling = .rankStabilized }
    if dora { settings.adaptation.magnitude = true }
    if !target.isEmpty {
      settings.adaptation.targets = target.map { $0 == "all" ? LowRankAdaptation.allLayers : ModulePattern($0) }
    }
    if let start { settings.adaptation.start = start }
    if nf4 { settings.base = .normalFloat(groupSize: groupSize) }
    if let bits { settings.base = BaseQuantization(bits: bits, groupSize: groupSize) }
    if let groupSize, bits == nil, !nf4 {
      guard settings.base != nil else {
        throw ValidationError("--group-size needs --bits or --nf4: without them nothing is quantized")
      }
      settings.base?.groupSize = groupSize
    }
  }
}

/// How it is trained.
struct TrainingOptions: ParsableArguments {
  @Option(help: "The highest learning rate. Default: 2e-4 for adapters, 2e-5 for all parameters.")
  var learningRate: Float?

  @Option(help: "How the learning rate falls: cosine, linear or constant. Default: cosine.")
  var schedule: LearningRateSchedule.Shape?

  @Option(
    help: ArgumentHelp("The share of the steps in which the learning rate rises. Default: 5%.", valueName: "share"), transform: Share.read)
  var warmup: Share?

  @Option(help: ArgumentHelp("Cosines one behind the other: warm restarts. Default: 1.", valueName: "count"), transform: Count.number)
  var cycles: Int?

  @Option(help: "Passes over the data. Default: 1.")
  var epochs: Double?

  @Option(help: ArgumentHelp("Steps, instead of passes.", valueName: "count"), transform: Count.number)
  var steps: Int?

  @Option(help: ArgumentHelp("Rows that go through the model together. Default: 8.", valueName: "count"), transform: Count.number)
  var batchSize: Int?

  @Option(help: ArgumentHelp("Batches whose gradients are added up for one step. Default: 1.", valueName: "count"), transform: Count.number)
  var accumulate: Int?

  @Option(help: "What parameters decay by, times the learning rate. Default: 0.01.")
  var weightDecay: Float?

  @Option(help: "The longest gradient; 0 for any. Default: 1.")
  var clip: Float?

  @Option(help: "How the optimizer keeps its moments: float32, or int8. Default: float32.")
  var optimizerStates: StatePrecision?

  @Option(
    help:
      "What products are computed in: float32; bfloat16, which is faster where the processor has it; or float16, with a loss scale that adapts. Default: float32."
  )
  var precision: ProductPrecision?

  @Flag(help: "Keep all activations for the backward run: faster, for memory that grows with the layers.")
  var keepActivations = false

  @Option(help: ArgumentHelp("Steps between two evaluations. Default: a tenth of all.", valueName: "count"), transform: Count.number)
  var evalEvery: Int?

  @Option(
    help: ArgumentHelp("Evaluations without a better one before training ends; 0 for never. Default: 0.", valueName: "count"),
    transform: Count.number)
  var patience: Int?

  @Option(
    help: ArgumentHelp("Steps between two saves of what --resume continues from. Default: 50.", valueName: "count"), transform: Count.number
  )
  var saveEvery = 50

  func validate() throws {
    if let learningRate, !(learningRate.isFinite && learningRate > 0) { throw ValidationError("--learning-rate is not above 0") }
    if let warmup, !(0...1).contains(warmup.value) { throw ValidationError("--warmup is not a share from 0 to 1") }
    if let steps, steps < 1 { throw ValidationError("--steps \(steps) is not at least 1") }
    if let epochs, !(epochs.isFinite && epochs > 0 && epochs < 1e6) { throw ValidationError("--epochs \(epochs) is not above 0") }
    if epochs != nil, steps != nil { throw ValidationError("--steps and --epochs each say how long to train: give one of them") }
    if let batchSize, !(1...65536).contains(batchSize) { throw ValidationError("--batch-size \(batchSize) is not from 1 to 65536") }
    if let accumulate, !(1...65536).contains(accumulate) { throw ValidationError("--accumulate \(accumulate) is not from 1 to 65536") }
    if let cycles, !(1...1000).contains(cycles) { throw ValidationError("--cycles \(cycles) is not from 1 to 1000") }
    if let evalEvery, evalEvery < 1 { throw ValidationError("--eval-every \(evalEvery) is not at least 1") }
    if saveEvery < 1 { throw ValidationError("--save-every \(saveEvery) is not at least 1") }
    if let patience, patience < 0 { throw ValidationError("--patience \(patience) is below 0") }
    if let weightDecay, !(weightDecay.isFinite && weightDecay >= 0) { throw ValidationError("--weight-decay is below 0") }
    if let clip, !(clip.isFinite && clip >= 0) { throw ValidationError("--clip is below 0") }
  }

  func apply(to settings: inout FinetuneSettings) {
    if let learningRate { settings.learningRate = learningRate }
    if let schedule { settings.schedule = schedule }
    if let warmup { settings.warmup = warmup.value }
    if let cycles { settings.cycles = cycles }
    if let epochs { (settings.epochs, settings.steps) = (epochs, 0) }
    if let steps { settings.steps = steps }
    if let batchSize { settings.batchSize = batchSize }
    if let accumulate { settings.accumulation = accumulate }
    if let weightDecay { settings.optimizer.weightDecay = weightDecay }
    if let optimizerStates { settings.optimizer.states = optimizerStates }
    if let clip { settings.clip = clip }
    if let evalEvery { settings.evaluationInterval = evalEvery }
    if let patience { settings.patience = patience }
    if let precision { settings.precision = precision }
    if keepActivations { settings.keepsActivations = true }
  }
}

extension FinetuneSettings.Method: ExpressibleByArgument {}
extension LearningRateSchedule.Shape: ExpressibleByArgument {}
extension ProductPrecision: ExpressibleByArgument {}
extension LowRankAdaptation.Start: ExpressibleByArgument {}
extension StatePrecision: ExpressibleByArgument {}
extension AdapterFormat: ExpressibleByArgument {}
