import Diagnostics
import Execution
import ModelGraph

/// What a pass may learn from calibration text about the block at work.
///
/// Statistics are gathered by one forward of the block as it was before any pass of this run touched its layers, on the activations that
/// the compressed blocks before it leave; they are kept until the block is done, so that passes share them.
public final class BlockCalibration {
  public let block: Block
  private let stream: CalibrationStream
  /// What the model's output feels of every layer's output; nil unless a pass asked for gradients.
  public let sensitivity: OutputSensitivity?
  private var gathered: [ValueID: InputStatistics] = [:]
  private var kinds: StatisticKinds = []
  /// Whether statistics stay for several passes that would each take them.
  var lendsStatistics = false

  init(stream: CalibrationStream, block: Block, sensitivity: OutputSensitivity?) {
    self.stream = stream
    self.block = block
    self.sensitivity = sensitivity
    if stream.gathersHistograms { kinds = .histogram }
  }

  /// Tokens of the calibration text.
  public var tokens: Int { stream.batches.reduce(0) { $0 + $1.layout.rows } }
  /// Batches of whole windows.
  public var batchCount: Int { stream.batches.count }

  /// How the rows of a batch fall into windows.
  public func layout(of batch: Int) -> SequenceLayout { stream.batches[batch].layout }

  /// The activations of a batch in front of the block, behind compressed blocks. They must not be written.
  public func input(_ batch: Int) throws -> Matrix { try stream.compressed.load(batch) }

  /// The same in the uncompressed model; nil unless a pass asked for reference activations.
  public func referenceInput(_ batch: Int) throws -> Matrix? { try stream.reference?.load(batch) }

  /// A place for activations of this width for every batch, in memory or on disk as the stream's own are.
  func makeStore(width: Int) throws -> ActivationStore { try stream.makeStore(width: width) }

  var interpreter: Interpreter { stream.interpreter }

  /// The uncompressed model.
  public var reference: ModelGraph { stream.source }

  /// The inputs of the block's linear layers, by the value they read. Experts that few tokens came to are made up for as `ExpertShortage` says.
  /// - Parameter graph: the model as it is now.
  public func statistics(_ wanted: StatisticKinds, in graph: ModelGraph) throws -> [ValueID: InputStatistics] {
    let isThere = !gathered.isEmpty && kinds.isSuperset(of: wanted)
    if isThere, !wanted.contains(.gram) || gathered.values.allSatisfy(\.hasGram) { return gathered }
    kinds.formUnion(wanted)
    var result: [ValueID: InputStatistics] = [:]
    let pool = stream.interpreter.pool
    let linears = graph.linears(of: block)
    var importance: [ValueID: [Float]] = [:]
    for (node, _) in linears where sensitivity != nil && importance[node.inputs[0]] == nil {
      importance[node.inputs[0]] = try sensitivity?.importance(readersOf: node.inputs[0], in: block, of: graph)
    }
    // Layers that read the same value are served by the first of them.
    let first = Dictionary(linears.map { ($0.node.inputs[0], $0.node.output) }) { first, _ in first }
    let experts = kinds.contains(.gram) ? try ExpertInputs(of: block, in: graph, calibration: self, importance: importance) : nil
    var row = 0
    try forward(in: graph, from: input) { batch, run in
      let (value, x) = (run.node.inputs[0], run.input)
      guard first[value] == run.node.output else { return }
      try experts?.note(run, batch: batch)
      // What experts read is multiplied out when it is asked for.
      let statistics = result[value] ?? InputStatistics(width: x.columns, kinds: run.rows == nil ? kinds : kinds.subtracting(.gram))
      result[value] = statistics
      let weights = importance[value].map { all in
        run.rows.map { $0.map { all[row + Int($0)] } } ?? Array(all[row..<row + x.rows])
      }
      try statistics.add(x, named: run.node.scope, importance: weights, pool: pool)
    } after: { batch in
      row += stream.batches[batch].layout.rows
    }
    ExpertShortage.makeUp(in: &result, of: graph, block, experts: experts)
    if lendsStatistics { for statistics in result.values { statistics.isLent = true } }
    gathered = result
    return result
  }

  /// Lets the statistics of a value, where there are any, follow a transform that divides its features.
  func follow(_ value: ValueID, dividedBy factors: [Float], pool: ThreadPool) throws(CompressionError) {
    try gathered[value]?.divide(by: factors, pool: pool)
  }

  /// The same for whoever gets rows of that value.
  func follow(_ value: ValueID, dividedBy factors: [Float], in graph: ModelGraph, pool: ThreadPool) throws(CompressionError) {
    try follow(value, dividedBy: factors, pool: pool)
    for reader in graph.readers(of: value, in: block) {
      if case .dispatch = reader.operation { try follow(reader.output, dividedBy: factors, pool: pool) }
    }
  }

  /// The magnitudes of the inputs of the block's linear layers, by the value they read: as other passes gathered them, or, when none did or
  /// a transform has changed the inputs since, by a forward of the block as it is now.
  public func histograms(in graph: ModelGraph) throws -> [ValueID: MagnitudeHistogram] {
    let known = gathered.compactMapValues(\.histogram)
    if !known.isEmpty, known.count == gathered.count { return known }
    var result: [ValueID: MagnitudeHistogram] = [:]
    let pool = stream.interpreter.pool
    let linears = graph.linears(of: block)
    let first = Dictionary(linears.map { ($0.node.inputs[0], $0.node.output) }) { first, _ in first }
    try forward(in: graph, from: input) { _, run in
      let value = run.node.inputs[0]
      guard first[value] == run.node.output else { return }
      try result[value, default: MagnitudeHistogram()].add(run.input, named: run.node.scope, pool: pool)
    }
    return result
  }

  /// Runs the block over all batches and shows the input of every linear layer.
  public func forward(
    in graph: ModelGraph, from source: (Int) throws -> Matrix, observer: (_ batch: Int, LinearRun) throws -> Void,
    after: (_ batch: Int) throws -> Void = { _ in }
  ) throws {
    let weights = try LoadedBlock(block, of: graph, experts: .passing)
    for batch in stream.batches.indices {
      try Interruption.check()
      do {
        _ = try withoutActuallyEscaping(observer) { observer in
          try stream.interpreter.run(
            block, of: graph, weights: weights, input: try source(batch), sequences: stream.batches[batch].layout
          ) { run in try observer(batch, run) }
        }
      } catch let failure as CompressionError where failure.kind == .badData {
        // Who reads what is no number is not to blame for it.
        throw reference.notFinite(upTo: block) ?? failure
      }
      try after(batch)
    }
  }
}
