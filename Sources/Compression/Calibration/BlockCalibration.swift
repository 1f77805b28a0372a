import Diagnostics
import Distribution
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

  /// The activations of a batch in front of the block, behind compressed blocks. They must not be written. Where several processes run, all of
  /// them ask for the same.
  public func input(_ batch: Int) throws -> Matrix { try stream.load(batch, from: stream.compressed) }

  /// The same in the uncompressed model; nil unless a pass asked for reference activations.
  public func referenceInput(_ batch: Int) throws -> Matrix? { try stream.reference.map { try stream.load(batch, from: $0) } }

  /// Whether a pass asked for the activations of the uncompressed model.
  var hasReference: Bool { stream.reference != nil }

  /// The activations of a batch that this process runs: one of its own, or, where they run together, any.
  func runInput(_ batch: Int) throws -> Matrix { try load(batch, from: stream.compressed) }

  /// The same in the uncompressed model, where there are any.
  func runReferenceInput(_ batch: Int) throws -> Matrix { try load(batch, from: stream.reference ?? stream.compressed) }

  private func load(_ batch: Int, from store: ActivationStore) throws -> Matrix {
    try interpreter.isTensorParallel ? stream.load(batch, from: store) : store.load(batch)
  }

  /// A place for activations of this width for every batch, in memory or on disk as the stream's own are.
  func makeStore(width: Int) throws -> ActivationStore { try stream.makeStore(width: width) }

  var interpreter: Interpreter { stream.interpreter }

  /// What runs the block on ``runInput(_:)`` where all processes look at what its layers read and give, those of experts too.
  var runner: Interpreter { stream.interpreter.forSharedRows(wholeExperts: false) }

  /// The processes that divide batches and layers.
  var group: ProcessGroup { stream.group }

  /// The uncompressed model.
  public var reference: ModelGraph { stream.source }

  /// The inputs of the block's linear layers, by the value they read. Experts that few tokens came to are made up for as `ExpertShortage` says.
  /// - Parameters:
  ///   - graph: the model as it is now.
  ///   - division: whose Gram matrices this process will ask for; nil for all. Another process forms the others.
  public func statistics(
    _ wanted: StatisticKinds, in graph: ModelGraph, divided division: LayerDivision? = nil
  ) throws -> [ValueID: InputStatistics] {
    let isThere = !gathered.isEmpty && kinds.isSuperset(of: wanted)
    func isOwn(_ value: ValueID) -> Bool { division?.owns(value) ?? true }
    // Every process must come to the same answer: forming them takes all.
    if isThere,
      try !wanted.contains(.gram) || !group.any(gathered.contains { isOwn($0.key) && !$0.value.hasGram })
    {
      return gathered
    }
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
    let readers = division.map { division in
      { (value: ValueID) in experts?.isSource(value) == true ? nil : division.rank(of: value) }
    }
    // Processes that run the same rows all see them, and add up a band each of what all tokens go through.
    let isShared = interpreter.isTensorParallel
    func isBanded(_ value: ValueID) -> Bool {
      isShared && kinds.contains(.gram) && graph[value].route == nil && division?.hasOwner(value) == true
    }
    let routings = graph.routings(of: block.nodes)
    var (row, place) = (0, 0)
    var failure: (place: Int, error: any Error)?
    let whole = stream.interpreter.forSharedRows(wholeExperts: true)
    try forward(in: graph, by: whole, readBy: readers) { batch, run in
      let (value, x) = (run.node.inputs[0], run.input)
      place += 1
      guard first[value] == run.node.output else { return }
      try experts?.note(run, batch: batch)
      // Somebody else's: it tells what it found.
      guard failure == nil, isShared ? !run.isElsewhere : isOwn(value) else { return }
      // What experts read is multiplied out when it is asked for.
      let hasGram = run.rows == nil && (isOwn(value) || isBanded(value))
      let statistics =
        result[value]
        ?? InputStatistics(
          width: x.columns, kinds: hasGram ? kinds : kinds.subtracting(.gram), band: isBanded(value) ? (group.rank, group.count) : nil)
      result[value] = statistics
      let weights = importance[value].map { all in
        run.rows.map { $0.map { all[row + Int($0)] } } ?? Array(all[row..<row + x.rows])
      }
      do { try statistics.add(x, named: run.node.scope, importance: weights, pool: pool) } catch {
        // Others may not see it: all come to the end before all fail.
        guard !group.isAlone else { throw error }
        failure = (place, reference.notFinite(upTo: block) ?? error)
      }
    } after: { batch in
      row += stream.batches[batch].layout.rows
    }
    // The first is everybody's, as it is one process's.
    let places = try (0..<group.count).map { try group.broadcast(failure?.place ?? .max, from: $0) }
    try group.settle { if let failure, failure.place == places.min() { throw failure.error } }
    var owners: [ValueID: Int] = [:]
    for value in Set(first.keys).sorted(by: { $0.index < $1.index }) {
      // An expert's layers one process alone has run.
      owners[value] = isShared ? whole.expertOwner(of: value, in: graph, routings) : division?.rank(of: value)
      if isShared, let division { try result[value]?.assembleGram(at: division.rank(of: value), in: group) }
    }
    try group.exchange(&result, of: owners)
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
    try forward(in: graph) { _, run in
      let value = run.node.inputs[0]
      guard first[value] == run.node.output else { return }
      try result[value, default: MagnitudeHistogram()].add(run.input, named: run.node.scope, pool: pool)
    }
    return result
  }

  /// Runs the block over all batches and shows every linear layer as it ran, batch after batch. Several processes run a batch each, and see
  /// all of them.
  /// - Parameter showsOutputs: whether the observer looks at what layers give.
  public func forward(
    in graph: ModelGraph, showsOutputs: Bool = false, observer: (_ batch: Int, LinearRun) throws -> Void,
    after: (_ batch: Int) throws -> Void = { _ in }
  ) throws {
    try forward(in: graph, by: runner, showsOutputs: showsOutputs, readBy: nil, observer: observer, after: after)
  }

  /// - Parameter owner: of several processes the one that looks at what is read of a value, or nil for all; the others are shown a matrix without rows.
  private func forward(
    in graph: ModelGraph, by runner: Interpreter, showsOutputs: Bool = false, readBy owner: ((ValueID) -> Int?)?,
    observer: (_ batch: Int, LinearRun) throws -> Void, after: (_ batch: Int) throws -> Void
  ) throws {
    let weights = try group.settle { try LoadedBlock(block, of: graph, experts: .passing, for: runner) }
    func run(_ batch: Int, _ observer: (LinearRun) throws -> Void) throws {
      do {
        _ = try withoutActuallyEscaping(observer) { observer in
          try runner.run(
            block, of: graph, weights: weights, input: try runInput(batch), sequences: layout(of: batch), observer: observer)
        }
      } catch let failure as CompressionError where failure.kind == .badData {
        // Who reads what is no number is not to blame for it.
        throw reference.notFinite(upTo: block) ?? failure
      }
    }
    if group.isAlone || interpreter.isTensorParallel {
      // Shown as they run: nothing is kept.
      for batch in 0..<batchCount {
        try group.checkInterruption()
        try run(batch) { try observer(batch, $0) }
        try after(batch)
      }
      return
    }
    try forEachBatch(of: [graph], readBy: owner) { batch in
      var record = RecordedRuns(outputs: showsOutputs)
      try run(batch) { record.append($0) }
      return [record]
    } observer: { batch, runs in
      do {
        for run in runs[0] { try observer(batch, run) }
      } catch let failure as CompressionError where failure.kind == .badData {
        throw reference.notFinite(upTo: block) ?? failure
      }
      try after(batch)
    }
  }

  /// Records something of every batch, each process of another batch of the round or all of them together, and shows all of it to all processes,
  /// batch after batch: so sums that they form have the order that one process would give them.
  /// - Parameters:
  ///   - graphs: that the runs are of.
  ///   - owner: the process that looks at what is read of a value, or nil for all; the others are shown a matrix without rows.
  ///   - record: of a batch that this process runs; as many as graphs.
  func forEachBatch(
    of graphs: [ModelGraph], readBy owner: ((ValueID) -> Int?)? = nil, record: (_ batch: Int) throws -> [RecordedRuns],
    observer: (_ batch: Int, _ runs: [[LinearRun]]) throws -> Void
  ) throws {
    if interpreter.isTensorParallel {
      for batch in 0..<batchCount {
        try group.checkInterruption()
        try observer(batch, try record(batch).map(\.runs))
      }
      return
    }
    for first in stride(from: 0, to: batchCount, by: group.count) {
      try group.checkInterruption()
      let own = first + group.rank < batchCount ? try record(first + group.rank) : []
      for batch in first..<min(first + group.count, batchCount) {
        let runs = try graphs.enumerated().map { index, graph in
          try group.broadcast(group.owns(batch) ? own[index] : nil, from: group.owner(of: batch), of: graph, to: owner)
        }
        try observer(batch, runs)
      }
    }
  }
}
