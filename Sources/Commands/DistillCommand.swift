import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize distill`.
struct DistillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "distill",
    abstract: "Let a student learn what its teacher predicts, in three stages, each kept only where it helps.",
    discussion: """
      The stages: hidden states are aligned; then predictions, on the text and on what the student writes itself; then predictions under
      perturbations and on hard text. Each is measured before and after on text that is held out.

      EXAMPLES
        deepseek-optimize distill --teacher demo --student demo-int4 --data demo --steps 40
        deepseek-optimize distill --teacher M --student M-pruned --data train.txt --output O
        deepseek-optimize distill --teacher M --student M-int4 --data train.txt --steps 1000
        deepseek-optimize distill --teacher M --student S --data train.txt --no-features --no-policy --no-robustness
      """)

  @Option(help: ArgumentHelp("The model to learn from.", valueName: "model"), completion: .model)
  var teacher: String

  @Option(
    help: ArgumentHelp(
      "The model that learns: pruned, quantized, shallower, or fresh. It needs the teacher's vocabulary.", valueName: "model"),
    completion: .model)
  var student: String

  @Option(
    help: ArgumentHelp("The text to learn from: .txt, or .jsonl with a \"text\" member a line; or demo.", valueName: "file"),
    completion: .text)
  var data: String

  @OptionGroup(title: "Stages") var stages: DistillationOptions

  @Option(help: "Where every random choice derives from. Default: 0.")
  var seed: UInt64 = 0

  @OptionGroup var runOptions: RunOptions

  func validate() throws {
    try runOptions.checkDivergenceGate(isBudget: false)
    guard stages.options.steps > 0 else { throw ValidationError("every stage is left out") }
  }

  func run() throws {
    var distillation = stages.options
    (distillation.teacher, distillation.data) = (teacher, data)
    let bundle = try ModelBundle(opening: student)
    let run = RecipeRun(
      model: bundle, recipe: Recipe(passes: [distillation], seed: seed),
      settings: runOptions.settings(defaultOutput: "\(bundle.name)-distilled"),
      progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }
}

/// How a student learns.
struct DistillationOptions: ParsableArguments {
  @Option(help: "Steps of all stages together, shared as by default. Default: 860.")
  var steps: Int?

  @Option(help: "Steps of the first stage, hidden states.")
  var featureSteps: Int?

  @Option(help: "Steps on the teacher's distributions.")
  var logitSteps: Int?

  @Option(help: "Steps on the student's own text, the teacher's log-probabilities being the reward.")
  var policySteps: Int?

  @Option(help: "Steps of the third stage, perturbed embeddings, typing errors and hard text.")
  var robustnessSteps: Int?

  @Flag(help: "Leave hidden states out.")
  var noFeatures = false

  @Flag(help: "Leave the student's own text out.")
  var noPolicy = false

  @Flag(help: "Leave the third stage out.")
  var noRobustness = false

  @Option(help: "The peak of the learning rate. Default: 3e-4.")
  var learningRate: Float?

  @Option(help: "Windows of a step. Default: 16.")
  var batchWindows: Int?

  @Option(help: "Tokens a window of the text to learn from. Default: 256.")
  var windowLength: Int?

  @Option(help: "What both distributions are softened by. Default: 1.")
  var temperature: Float?

  @Option(help: "The share of the text's own next token in what is learned, 0 to 0.9. Default: 0.")
  var textWeight: Float?

  @Option(help: "The teacher's likeliest tokens that are kept on the disk; the others count as one. Default: 128.")
  var topTokens: Int?

  @Option(
    help: ArgumentHelp(
      "The teacher's layer for each of the student's, from 0: 1,3,5; four at most are aligned. Default: evenly.", valueName: "numbers"))
  var layerMap: String?

  @Option(help: "Try the stages on and off with that many seeds, for the report. Default: 0.")
  var ablationSeeds: Int?

  func validate() throws {
    if let steps, !(1...1 << 24).contains(steps) { throw ValidationError("--steps \(steps) is not from 1 to \(1 << 24)") }
    if let layerMap, Self.numbers(layerMap) == nil { throw ValidationError("--layer-map '\(layerMap)' is not a list of numbers: 1,3,5") }
  }

  private static func numbers(_ text: String) -> [Int]? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0.trimmingCharacters(in: .whitespaces)) }
    return parts.contains(nil) ? nil : parts.compactMap { $0 }
  }

  var options: Distillation {
    var options = Distillation()
    if let steps {
      let scale = Double(steps) / Double(options.steps)
      func share(_ count: Int) -> Int { Int((Double(count) * scale).rounded()) }
      options.featureSteps = share(options.featureSteps)
      options.policySteps = share(options.policySteps)
      options.robustnessSteps = share(options.robustnessSteps)
      options.logitSteps = max(0, steps - options.featureSteps - options.policySteps - options.robustnessSteps)
    }
    if let featureSteps { options.featureSteps = featureSteps }
    if let logitSteps { options.logitSteps = logitSteps }
    if let policySteps { options.policySteps = policySteps }
    if let robustnessSteps { options.robustnessSteps = robustnessSteps }
    if noFeatures { options.featureSteps = 0 }
    if noPolicy { options.policySteps = 0 }
    if noRobustness { options.robustnessSteps = 0 }
    if let learningRate { options.learningRate = learningRate }
    if let batchWindows { options.batchWindows = batchWindows }
    if let windowLength { options.sequenceLength = windowLength }
    if let temperature { options.temperature = temperature }
    if let textWeight { options.textWeight = textWeight }
    if let topTokens { options.topTokens = topTokens }
    if let layerMap { options.layers = Self.numbers(layerMap) ?? [] }
    if let ablationSeeds { options.ablationSeeds = ablationSeeds }
    return options
  }
}
