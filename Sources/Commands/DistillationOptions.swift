import ArgumentParser
import DeepSeekOptimize
import Foundation

/// Who learns from whom, and on what.
struct DistillationPair: ParsableArguments {
  @Option(help: ArgumentHelp("The model to learn from.", valueName: "model"), completion: .model)
  var teacher: String

  @Option(
    help: ArgumentHelp(
      "The model that learns: pruned, quantized, shallower, or fresh. It needs the teacher's vocabulary.", valueName: "model"),
    completion: .model)
  var student: String

  @Option(
    help: ArgumentHelp("The text to learn from: .txt, or .jsonl with a \"text\" member a line; or demo.", valueName: "file"),
    completion: .textOrDemo)
  var data: String
}

/// How a student learns.
struct DistillationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Steps of all stages together, shared as by default. Default: 860.", valueName: "count"), transform: Count.number)
  var steps: Int?

  @Option(help: ArgumentHelp("Steps of the first stage, hidden states.", valueName: "count"), transform: Count.number)
  var featureSteps: Int?

  @Option(help: ArgumentHelp("Steps on the teacher's distributions.", valueName: "count"), transform: Count.number)
  var logitSteps: Int?

  @Option(
    help: ArgumentHelp("Steps on the student's own text, the teacher's log-probabilities being the reward.", valueName: "count"),
    transform: Count.number)
  var policySteps: Int?

  @Option(
    help: ArgumentHelp("Steps of the third stage, perturbed embeddings, typing errors and hard text.", valueName: "count"),
    transform: Count.number)
  var robustnessSteps: Int?

  @Flag(help: "Leave hidden states out.")
  var noFeatures = false

  @Flag(help: "Leave the student's own text out.")
  var noPolicy = false

  @Flag(help: "Leave the third stage out.")
  var noRobustness = false

  @Option(help: "The peak of the learning rate. Default: 3e-4.")
  var learningRate: Float?

  @Option(help: ArgumentHelp("Windows of a step. Default: 16.", valueName: "count"), transform: Count.number)
  var batchWindows: Int?

  @Option(help: ArgumentHelp("Tokens a window of the text to learn from. Default: 256.", valueName: "count"), transform: Count.number)
  var windowLength: Int?

  @Option(help: "What both distributions are softened by. Default: 1.")
  var temperature: Float?

  @Option(help: "The share of the text's own next token in what is learned, 0 to 0.9. Default: 0.")
  var textWeight: Float?

  @Option(
    help: ArgumentHelp(
      "The teacher's likeliest tokens that are kept on the disk; the others count as one. Default: 128.", valueName: "count"),
    transform: Count.number)
  var topTokens: Int?

  @Option(
    help: ArgumentHelp(
      "The teacher's layer for each of the student's, from 0: 1,3,5; four at most are aligned. Default: evenly.", valueName: "numbers"))
  var layerMap: String?

  @Option(
    help: ArgumentHelp("Try the stages on and off with that many seeds, for the report. Default: 0.", valueName: "count"),
    transform: Count.number)
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
