import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What every command that runs a recipe shares: where the result goes, what it is measured on, and what the run may use.
struct RunOptionsOf<Resume: ResumeChoice>: ParsableArguments {
  @OptionGroup(title: "Model and output") var destination: OutputOptionsOf<Resume>
  @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
  @OptionGroup(title: "Evaluation") var measuring: MeasuringOption

  @OptionGroup(title: "Gates") var gates: GateOptions
  @OptionGroup(title: "Running") var resources: ResourceOptions
  @OptionGroup(title: "Running") var division: DivisionOption

  private static var nothingForGates: String { "--no-eval leaves nothing for a gate to measure" }

  var noEval: Bool { measuring.noEval }

  /// `--max-kl` is a gate, unless it is what bits are chosen for.
  func checkDivergenceGate(isBudget: Bool) throws {
    if noEval, gates.maxKl != nil, !isBudget { throw ValidationError(Self.nothingForGates) }
  }

  func validate() throws {
    if noEval, gates.maxPerplexityIncrease != nil { throw ValidationError(Self.nothingForGates) }
    if noEval, evaluation.keyValueCache != .none { throw ValidationError("--no-eval leaves --kv-cache nothing to measure on") }
    if noEval, evaluation.compute != .float32 {
      throw ValidationError("--no-eval leaves nothing to compute in \(evaluation.compute.rawValue): leave --compute out")
    }
  }

  func settings(defaultOutput: String, trials: [AlgorithmTrial.Outcome] = []) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: destination.output ?? defaultOutput))
    settings.group = Launch.group
    settings.isTensorParallel = division.enableTensorParallel
    settings.overwrite = destination.overwrite
    settings.resume = destination.resume
    settings.evaluation = noEval ? nil : evaluation.settings
    settings.gates = noEval ? AccuracyGates() : gates.gates
    settings.trials = trials
    settings.threads = resources.threads
    settings.maximumMemory = resources.maxMemory?.bytes
    return settings
  }

  func run(_ model: ModelBundle, _ recipe: Recipe, defaultOutput: String, trials: [AlgorithmTrial.Outcome] = []) -> CompressionRun {
    CompressionRun(
      model: model, recipe: recipe, settings: settings(defaultOutput: defaultOutput, trials: trials),
      progress: ProgressBar.handler(quiet: resources.quiet))
  }
}

typealias RunOptions = RunOptionsOf<ResumeFlag>

/// `--no-eval`.
struct MeasuringOption: ParsableArguments {
  @Flag(help: "Do not measure the result.")
  var noEval = false
}
