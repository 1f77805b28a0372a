import Compression
import Evaluation
import Execution
import ModelGraph
import Tensors

/// What estimates are made from: a run that was checked, its layout, and what it would be measured on.
struct PlannedWork {
  let run: CompressionRun
  let prepared: CompressionRun.Preparation
  let layers: [CompressionRun.Plan.Layer]
  let evaluation: EvaluationPlan?

  var graph: ModelGraph { prepared.graph }
  var layout: OutputLayout { prepared.layout }
  var sourceBytes: Int { layers.reduce(0) { $0 + $1.sourceBytes } }
  var outputBytes: Int { layers.reduce(0) { $0 + $1.outputBytes } }

  /// Whether the weight is quantized in the output.
  func isQuantized(_ layer: CompressionRun.Plan.Layer) -> Bool {
    if layer.reason == .decoded { return true }
    if case .quantized = layer.storage { return true }
    return false
  }

  /// The layers that are quantized, and how many weights they have.
  var quantized: [CompressionRun.Plan.Layer] { layers.filter(isQuantized) }

  /// Passes whose work is understood well enough to say what it takes.
  var unknownPasses: [String] {
    run.recipe.passes.filter { pass in
      switch pass {
      case let pass as GPTQ: pass.outputSensitivity || pass.retarget
      case is ImportanceMatrix, is HadamardRotation, is AdapterMerging: false
      default: !(pass is any LayerwiseQuantization)
      }
    }.map { type(of: $0).identifier }
  }

  /// The pass that rounds with feedback, if any.
  var feedback: GPTQ? { run.recipe.passes.lazy.compactMap { $0 as? GPTQ }.first }

  /// Tokens of calibration text at most: as many as are asked for.
  var calibrationTokens: Int {
    guard run.recipe.isCalibrated, let plan = run.recipe.calibration else { return 0 }
    return plan.samples * max(1, plan.sequenceLength)
  }

  /// Tokens that accuracy is measured on, and tokens that run together; nil without a measurement.
  var evaluated: (tokens: Int, context: Int, rows: Int)? {
    switch evaluation {
    case .predictions(let plan):
      let evaluator = Evaluator(interpreter: run.interpreter).limited(to: run.settings.maximumMemory, batch: plan.batchRows)
      let (windows, context) = (plan.text.windows.count, plan.text.context)
      return (windows * context, context, min(windows, max(1, evaluator.batchRows / context)) * context)
    case .embeddings(let plan):
      let lengths = plan.text.sentences.map(\.count)
      let tokens = lengths.reduce(0, +)
      return (tokens, lengths.max() ?? 1, min(tokens, Evaluator(interpreter: run.interpreter).batchRows))
    case nil: return nil
    }
  }

  /// Times that the model and its reference are run over the text.
  var evaluations: Int {
    let kinds = Set(
      layers.compactMap { layer -> ActivationQuantization? in
        guard case .quantized(let scheme) = layer.storage, scheme.activations != .none else { return nil }
        return scheme.activations
      })
    let caches = run.settings.evaluation?.keyValueCache == KeyValueQuantization.none ? 0 : 1
    return 1 + caches + (kinds.isEmpty ? 0 : kinds == [.int8] || kinds == [.none] ? 1 : 2)
  }

  /// Passes over the weights that one measurement takes: activations of a long text do not wait for each other in memory.
  var evaluationChunks: Int {
    guard let evaluated, case .predictions(let plan)? = evaluation else { return 1 }
    let budget = Evaluator(interpreter: run.interpreter).limited(to: run.settings.maximumMemory, batch: nil).activationBudget
    let perChunk = max(1, budget / (evaluated.context * width * 4 * 2))
    return (plan.text.windows.count + perChunk - 1) / perChunk
  }

  /// Features between blocks, at most.
  var width: Int { graph.body.compactMap { graph[graph.boundary(of: $0).output].width }.max() ?? 0 }

  /// Bytes that reading one parameter of the source takes while it is decoded, and from then on: a view of the file where it need not be.
  func sourceBytes(of id: ParameterID) -> (reading: Int, held: Int) {
    let parameter = graph[id]
    let (stored, loaded) = (run.model.storedBytes(of: parameter.name), parameter.loadedByteCount)
    // What a pass rewrites is computed in float32 each time that it is read.
    if graph.isRewritten { return (stored + 8 * parameter.shape.elementCount, 4 * parameter.shape.elementCount) }
    return stored == loaded ? (stored, stored) : (stored + loaded, loaded)
  }
}
