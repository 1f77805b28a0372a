import Compression
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// What estimates are made from: a run that was checked, its layout, and what it would be measured on.
struct PlannedWork {
  let run: CompressionRun
  let prepared: CompressionRun.Preparation
  let layers: [CompressionRun.Plan.Layer]
  let evaluation: EvaluationPlan?
  let sourceBytes: Int
  let outputBytes: Int
  /// By parameter.
  private let sizes: [(reading: Int, held: Int)]
  /// What of the layers is quantized.
  let quantized: Sum
  /// What of them is stored as FP8 codes, and what of that is quantized.
  let coded: (all: Double, quantized: Double)

  /// Weights and bytes of some layers.
  struct Sum {
    var weights = 0.0
    var source = 0
    var output = 0
  }

  init(
    run: CompressionRun, prepared: CompressionRun.Preparation, layers: [CompressionRun.Plan.Layer], evaluation: EvaluationPlan?
  ) {
    (self.run, self.prepared, self.layers, self.evaluation) = (run, prepared, layers, evaluation)
    var (source, output, quantized, coded) = (0, 0, Sum(), (all: 0.0, quantized: 0.0))
    for index in layers.indices {
      let weights = Double(layers[index].shape.elementCount)
      source += layers[index].sourceBytes
      output += layers[index].outputBytes
      let isCoded = layers[index].isCoded
      if isCoded { coded.all += weights }
      guard layers[index].isQuantized else { continue }
      quantized.weights += weights
      quantized.source += layers[index].sourceBytes
      quantized.output += layers[index].outputBytes
      if isCoded { coded.quantized += weights }
    }
    (sourceBytes, outputBytes, self.quantized, self.coded) = (source, output, quantized, coded)
    sizes = prepared.graph.parameters.map { parameter in
      let (stored, loaded) = (run.model.storedBytes(of: parameter.name), parameter.loadedByteCount)
      // What a pass rewrites is computed in float32 each time that it is read.
      if prepared.graph.isRewritten { return (stored + 8 * parameter.shape.elementCount, 4 * parameter.shape.elementCount) }
      return stored == loaded ? (stored, stored) : (stored + loaded, loaded)
    }
  }

  var graph: ModelGraph { prepared.graph }
  var layout: OutputLayout { prepared.layout }

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
      let evaluator = plan.evaluator(run.interpreter, within: run.settings.maximumMemory)
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
    guard case .predictions(let plan)? = evaluation else { return 1 }
    return (plan.text.windows.count + windowsPerChunk - 1) / windowsPerChunk
  }

  /// Windows whose activations are in memory together.
  var windowsPerChunk: Int {
    guard let evaluated, case .predictions(let plan)? = evaluation else { return 1 }
    let budget = plan.evaluator(run.interpreter, within: run.settings.maximumMemory).activationBudget
    return max(1, budget / max(1, evaluated.context * width * 4 * 2))
  }

  /// Whether processes that share the run would run text together, each computing a part of every layer's outputs, and experts of its own.
  var isTensorParallel: Bool { run.settings.isTensorParallel }

  /// Whether a process that computes some outputs of a layer needs no more of its weight than their rows.
  func isReadByRows(_ id: ParameterID) -> Bool {
    guard isTensorParallel, !graph.isRewritten, case .dense(let type)? = graph[id].weightStorage, type != .float64 else { return false }
    // Datasets of HDF5 are read, not mapped.
    return !run.model.checkpoint.files.contains { ["h5", "hdf5", "keras"].contains($0.pathExtension) }
  }

  /// Features between blocks, at most.
  var width: Int { graph.body.compactMap { graph[graph.boundary(of: $0).output].width }.max() ?? 0 }

  /// Bytes that reading one parameter of the source takes while it is decoded, and from then on: a view of the file where it need not be.
  func sourceBytes(of id: ParameterID) -> (reading: Int, held: Int) { sizes[id.index] }
}

extension CompressionRun.Plan.Layer {
  /// Whether a pass quantizes the weight, whatever the output can hold.
  var isQuantized: Bool {
    if reason == .decoded { return true }
    if case .quantized = storage { return true }
    return false
  }

  /// Whether the source keeps it as FP8 codes, which are decoded whenever it is read.
  var isCoded: Bool { sourceType == DataType.float8E4M3.rawValue }
}
