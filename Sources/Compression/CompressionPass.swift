import Diagnostics
import Execution
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// A pass that works on a model block by block, and rewrites its weights without changing how many there are: quantization, transforms, merging.
///
/// A pass chooses parameters by role through the graph and never names a model family.
public protocol CompressionPass: RecipePass {
  /// Rewrites the model as a whole where that needs no data: later passes, calibration and the output see the model that comes out. Weights
  /// that change are given a source that changes them as they are read.
  func prepare(_ graph: ModelGraph, using resources: PassResources) throws -> ModelGraph
  /// Starts a run over this graph.
  func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass
}

extension CompressionPass {
  public func prepare(_ graph: ModelGraph, using resources: PassResources) throws -> ModelGraph { graph }
}

/// What a pass that rewrites the model as a whole gets from the run.
public struct PassResources: Sendable {
  /// For what is computed whenever a rewritten weight is read.
  public let pool: ThreadPool
  /// Reads an adapter by the path that the pass names: by the scope of the layers.
  public let adapter: @Sendable (_ path: String) throws -> [String: LowRankAdapter]

  public init(pool: ThreadPool, adapter: @escaping @Sendable (_ path: String) throws -> [String: LowRankAdapter]) {
    self.pool = pool
    self.adapter = adapter
  }

  /// Of a run without files beside the model.
  public init(pool: ThreadPool) {
    self.init(pool: pool) { path throws(CompressionError) in
      throw CompressionError(path, "cannot be read here: this run has no adapters", kind: .usage)
    }
  }
}

/// A pass at work: it sees the model block by block, so that one block's weights are all it needs in memory.
public protocol BlockPass {
  /// What the parameters that the pass replaces will be stored as; known before the first block, so that the output can be laid out.
  var plan: [ParameterID: WeightStorage] { get }
  /// Whether each layer is treated by itself, with nothing but its own weight. A run whose passes all do so gives them a block's layers one by
  /// one, and lets each go before the next: a block of many experts is never in memory as a whole.
  var treatsLayersAlone: Bool { get }
  /// Replaces parameters of one block in the graph.
  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws
  /// What a block costs, in multiply-adds of a forward run or what takes as long, for progress bars; `apply` tells a ``WorkMeter`` as much.
  /// - Parameter text: what the pass is calibrated on.
  func operations(on block: Block, of graph: ModelGraph, calibratedOn text: CalibrationExtent) -> Double
  /// What was done, for the report. A run that resumes sets it to what the earlier run had recorded, before the first block that is left.
  var record: PassRecord { get set }
}

extension BlockPass {
  public var treatsLayersAlone: Bool { false }

  /// A search for every weight that is planned, and a forward run of the calibration text.
  public func operations(on block: Block, of graph: ModelGraph, calibratedOn text: CalibrationExtent) -> Double {
    let planned = graph.linears(of: block).filter { plan[$0.weight] != nil }
    guard !planned.isEmpty else { return 0 }
    return planned.reduce(0) { $0 + Double(graph[$1.weight].shape.elementCount) } * WorkEstimate.searchedWeight
      + graph.operations(of: block, tokens: text.tokens)
  }
}

/// What a pass may use while it runs.
public struct PassContext {
  public let interpreter: Interpreter
  /// Every random choice derives from it.
  public let seed: UInt64
  /// What calibration sends through the block at work; nil when no pass of the run needs any.
  public internal(set) var calibration: BlockCalibration?
  /// What the passes before this one will store parameters as; known when a pass begins.
  public package(set) var planned: [ParameterID: WeightStorage] = [:]
  /// Whether quantized weights stay quantized in the output; in one that cannot hold codes they would cost accuracy for nothing.
  public package(set) var keepsCodes = true
  /// What int8 inputs do to every layer; nil when no pass of the run asked, and as long as nothing was read yet.
  public var inputErrors: InputErrors?
  /// What training came to; nil when no pass of the run asked, and as long as nothing was trained yet.
  public var trained: TrainedWeights?

  public init(interpreter: Interpreter, seed: UInt64 = 0) {
    self.interpreter = interpreter
    self.seed = seed
  }

  /// The same for a block that calibration has reached.
  public func with(_ calibration: BlockCalibration?) -> PassContext {
    var copy = self
    copy.calibration = calibration
    return copy
  }

  public var pool: ThreadPool { interpreter.pool }
}

extension [any CompressionPass] {
  /// Starts the passes one after the other, so that each knows what those before it plan.
  /// - Returns: the passes at work, and what they will store parameters as together.
  package func begin(
    on graph: ModelGraph, in context: PassContext
  ) throws(CompressionError) -> (workers: [any BlockPass], plan: [ParameterID: WeightStorage]) {
    var context = context
    var workers: [any BlockPass] = []
    for pass in self {
      let worker = try pass.begin(on: graph, in: context)
      context.planned.merge(worker.plan) { _, later in later }
      workers.append(worker)
    }
    // Where the model has static ranges already, they stay.
    let missing = context.planned.keys.sorted { $0.index < $1.index }.first {
      context.planned[$0]?.inputs == .int8Static && graph.inputQuantization[$0] != .int8Static
    }
    if let missing, !contains(where: { $0 is StaticActivationRanges }) {
      throw CompressionError(
        graph[missing].module, "is to have static activations, and no pass finds their range",
        remedy: "let the pass \(StaticActivationRanges.identifier) follow the one that quantizes", kind: .badConfiguration)
    }
    return (workers, context.planned)
  }
}

extension WeightStorage {
  /// How the inputs of a layer with this weight are quantized.
  var inputs: ActivationQuantization {
    if case .quantized(let scheme) = self { scheme.activations } else { .none }
  }
}

/// What a pass did.
public struct PassRecord: Sendable, Equatable {
  /// One layer that the pass changed.
  public struct Layer: Sendable, Equatable, Codable {
    public let module: String
    public let scheme: QuantizationScheme
    public let weights: Int
    /// Weights whose code was clamped by more than rounding. Where codes are moved one at a time afterwards (`GPTQ.polish`), as it was
    /// before.
    public let clipped: Int
    /// What was done instead of what was asked, in words; nil in the normal case.
    public let fallback: String?
    /// By which share of the step the weight was moved towards the uncompressed model's outputs (`GPTQ.retarget`); nil where that was not
    /// tried.
    public let retargetedShare: Double?
    /// Tokens of calibration text that came to it, for a layer of an expert that tokens are sent to; nil for others, and without calibration.
    public var calibrationTokens: Int?
    /// Whether those were too few, so that the layer's other tokens helped or what they have in common counted less.
    public var isScarce: Bool

    /// - Parameters:
    ///   - module: the layer's scope, `model.layers.3.mlp.up_proj`.
    ///   - scheme: what its weight is stored as now.
    ///   - weights: how many weights it has.
    public init(
      module: String, scheme: QuantizationScheme, weights: Int, clipped: Int = 0, fallback: String? = nil, retargetedShare: Double? = nil,
      calibrationTokens: Int? = nil, isScarce: Bool = false
    ) {
      self.module = module
      self.scheme = scheme
      self.weights = weights
      self.clipped = clipped
      self.fallback = fallback
      self.retargetedShare = retargetedShare
      self.calibrationTokens = calibrationTokens
      self.isScarce = isScarce
    }
  }

  /// What became of the inputs of one layer.
  public struct Inputs: Sendable, Equatable, Codable {
    public let module: String
    /// Share of calibration's values that are beyond the range of a stored scale.
    public let clippedFraction: Double?
    /// What was done instead of what was asked, in words.
    public let fallback: String?

    public init(module: String, clippedFraction: Double? = nil, fallback: String? = nil) {
      self.module = module
      self.clippedFraction = clippedFraction
      self.fallback = fallback
    }
  }

  public var pass: String
  public var layers: [Layer]
  /// Layers whose inputs the pass decided on, beside those whose weights it changed.
  public var inputs: [Inputs]
  public var warnings: [String]
  /// Modules whose weights, inputs or outputs were rescaled: they cannot be compared with the checkpoint's one by one.
  public var rescaled: [String] = []

  /// The record of a pass that has done nothing yet, or of one that has.
  public init(pass: String, layers: [Layer] = [], inputs: [Inputs] = [], warnings: [String] = []) {
    self.pass = pass
    self.layers = layers
    self.inputs = inputs
    self.warnings = warnings
  }
}

/// A pass that cannot do what it is asked.
public struct CompressionError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  public init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }
}
