import Compression
import Diagnostics
import Evaluation
import Execution
import ModelGraph
import Tensors

/// The most memory that a run is expected to hold at once, by what it does: an upper estimate, from the sizes of what each step keeps.
public struct PlannedMemory: Sendable {
  /// A part of the run, and what it holds.
  public struct Phase: Sendable {
    /// `quantizing`, `measuring`.
    public let name: String
    /// The block or the layer that takes the most.
    public let place: String
    /// Bytes of weights, in the form that they are held in.
    public let weights: Int
    /// Bytes of activations and of what is gathered from them.
    public let activations: Int

    public var bytes: Int { weights + activations }
  }

  public let phases: [Phase]
  /// Bytes that the process holds before it reads any weight, names, headers and graph: measured when the plan was made, and counted twice,
  /// for the output is opened beside the source.
  public let base: Int
  /// Bytes for what the allocator keeps and what is not counted one by one.
  public let allowance: Int
  /// Passes that hold more than is known here; the estimate is a lower one then.
  public let unknown: [String]

  /// The phase that takes the most.
  public var largest: Phase? { phases.max { $0.bytes < $1.bytes } }
  /// The most bytes held at once.
  public var peak: Int { base + (largest?.bytes ?? 0) + allowance }

  /// Of what is counted, what the allocator may keep beyond it.
  private static let share = 0.05

  /// One of several processes.
  struct Member {
    let shares: RankShares
    /// The first one does alone what is not divided.
    let isFirst: Bool
  }

  /// - Parameter member: of what several processes divide; nil for one that does everything.
  init(_ work: PlannedWork, of member: Member? = nil) {
    base = 2 * ProcessFigures.peakBytes
    unknown = work.unknownPasses
    var phases = [Self.quantizing(work, member)]
    if work.run.recipe.isCalibrated { phases.append(Self.calibrating(work, member)) }
    if let comparing = Self.comparing(work) { phases.append(comparing) }
    phases += Self.measuring(work, member)
    self.phases = phases
    allowance = (16 << 20) + Int(Self.share * Double(phases.map(\.bytes).max() ?? 0))
  }

  /// Whether the run lets each layer go before the next.
  static func worksLayerByLayer(_ run: CompressionRun, _ prepared: CompressionRun.Preparation) -> Bool {
    !run.recipe.isCalibrated && prepared.workers.allSatisfy(\.treatsLayersAlone)
  }

  /// One layer at a time, on top of what is quantized of its block where that is handed on as a whole.
  private static func quantizing(_ work: PlannedWork, _ member: Member?) -> Phase {
    let alone = worksLayerByLayer(work.run, work.prepared)
    var most = (place: "", weights: 0, activations: 0)
    for (block, parameters) in zip(work.graph.blocks, work.layout.blocks) {
      let waiting =
        alone
        ? 0
        : parameters.reduce(0) { sum, id in
          guard case .quantized? = work.layout.parameters[id]?.storage else { return sum }
          return sum + (work.layout.parameters[id]?.byteCount ?? 0)
        }
      var largest: (id: ParameterID, bytes: Int)?
      for id in parameters {
        let bytes = alone ? layerBytes(id, work, member) : layerBytes(id, work)
        if bytes > largest?.bytes ?? -1 { largest = (id, bytes) }
      }
      guard let largest, waiting + largest.bytes > most.weights else { continue }
      most = (alone ? work.graph[largest.id].name : block.name, waiting + largest.bytes, 0)
    }
    for extra in work.layers where extra.reason == .notRun && (member?.isFirst != false || work.layout.encoding.isDivisible) {
      // Passed on one by one; what is decoded is read and held beside its codes.
      let bytes = extra.sourceBytes == extra.outputBytes ? extra.sourceBytes : extra.sourceBytes + extra.outputBytes
      if bytes > most.weights { most = (extra.name, bytes, 0) }
    }
    return Phase(name: "quantizing", place: most.place, weights: most.weights, activations: most.activations)
  }

  /// The same where each layer is one process's: what another one sends to be written is held as it comes and as it is written.
  private static func layerBytes(_ id: ParameterID, _ work: PlannedWork, _ member: Member?) -> Int {
    guard let member else { return layerBytes(id, work) }
    if work.layout.encoding.isDivisible { return ((member.shares.writers[id] ?? 0) == 0) == member.isFirst ? layerBytes(id, work) : 0 }
    let isOwn = (member.shares.owners[id] ?? 0) == 0
    if isOwn == member.isFirst { return layerBytes(id, work) }
    return member.isFirst ? 2 * (work.layout.parameters[id]?.byteCount ?? 0) : 0
  }

  /// A layer while it is read, and while it becomes codes, which are held once as they are made and once as they are written.
  private static func layerBytes(_ id: ParameterID, _ work: PlannedWork) -> Int {
    let (reading, held) = work.sourceBytes(of: id)
    guard let entry = work.layout.parameters[id] else { return reading }
    guard entry.storage != work.graph[id].weightStorage else { return reading }
    let shape = entry.shape
    // Scales are searched in float32, with zero points.
    let grid = shape.rank == 2 ? shape[0] * max(1, shape[1] / 32) * 8 : 0
    let codes = work.feedback == nil ? 0 : shape.elementCount
    return max(reading, held + 2 * entry.byteCount + min(grid, shape.elementCount) + codes)
  }

  /// A layer as it was, decoded, beside what became of it.
  private static func comparing(_ work: PlannedWork) -> Phase? {
    var most: Phase?
    for id in work.layout.blocks.joined() {
      guard let entry = work.layout.parameters[id], case .quantized = entry.storage else { continue }
      let bytes = work.sourceBytes(of: id).reading + entry.byteCount
      if bytes > most?.bytes ?? 0 { most = Phase(name: "comparing", place: entry.name, weights: bytes, activations: 0) }
    }
    return most
  }

  /// The text on its way through the largest block, with what is gathered of its layers' inputs.
  private static func calibrating(_ work: PlannedWork, _ member: Member?) -> Phase {
    let graph = work.graph
    let rows = min(work.calibrationTokens, RankShares.calibrationRows)
    let limit = work.run.settings.maximumMemory.map { $0 / 3 } ?? 512 << 20
    let all = work.calibrationTokens * work.width * 4
    let waiting = (member?.shares.calibration.most ?? work.calibrationTokens) * work.width * 4
    // Beyond the limit activations wait in a file.
    let stream = waiting > limit ? 0 : waiting
    var most = Phase(name: "calibrating", place: "", weights: 0, activations: 0)
    for block in graph.body.dropFirst() {
      let inputs = Dictionary(graph.linears(of: block).map { ($0.node.inputs[0], graph[$0.weight].shape[1]) }) { first, _ in first }
      let hasExperts = inputs.keys.contains { graph[$0].route != nil }
      // What experts read is kept by every process.
      let gathered = stream + (hasExperts && all <= limit ? all : 0) + sharesBytes(inputs, of: block, work, member, rows: rows)
      // A process that has no text of its own runs none.
      let ownRows = work.isTensorParallel ? rows : min(rows, member.map { $0.isFirst ? rows : $0.shares.calibration.mostOfOthers } ?? rows)
      let phase = Phase(
        name: "calibrating", place: block.name, weights: blockBytes(block, of: graph, work, member),
        activations: gathered + graph.activationBytes(of: block, rows: ownRows) + parcelBytes(block, work, member, rows: rows))
      if phase.bytes > most.bytes { most = phase }
    }
    return most
  }

  /// Bytes of what a process gathers of a block's inputs, and is shown of them: the first one, or that of the others which has the most.
  /// - Parameter inputs: the widths of the values that its linear layers read.
  private static func sharesBytes(
    _ inputs: [ValueID: Int], of block: Block, _ work: PlannedWork, _ member: Member?, rows: Int
  ) -> Int {
    let (graph, count) = (work.graph, member?.shares.layout.ranks ?? 1)
    var owners: [ValueID: Int] = [:]
    for (node, weight) in graph.linears(of: block) { if let owner = member?.shares.owners[weight] { owners[node.inputs[0]] = owner } }
    let read = Dictionary(work.readValues(of: block)) { first, _ in first }
    var sources = Set<ValueID>()
    for node in graph.nodes[block.nodes] { if case .dispatch = node.operation { sources.insert(node.inputs[0]) } }
    let none = Array(repeating: 0, count: count)
    var (kept, widest, shown) = (none, none, none)
    for (value, width) in inputs {
      let owner = owners[value] ?? 0
      if work.feedback != nil {
        // One matrix for each input of the block's layers but experts', whose are found one by one; and two while one is factored.
        widest[owner] = max(widest[owner], width)
        if graph[value].route == nil {
          kept[owner] += 4 * width * width
          if work.isTensorParallel, count > 1 {
            // A band each, beside what they become.
            for (rank, band) in GramMatrix.bands(of: width, among: count).enumerated() { kept[rank] += 4 * band.upperBound * band.count }
          }
        }
      }
      guard count > 1, !work.isTensorParallel else { continue }
      // What the layers of a batch read, as another process shows it: to all, or to the one that works on it.
      let isForAll = work.feedback == nil || sources.contains(value)
      for rank in 0..<count where isForAll || rank == owner { shown[rank] += Int((read[value] ?? 0) * Double(rows)) }
    }
    if let member, count > 1, !work.isTensorParallel {
      // And of a batch of its own.
      for rank in 0..<count where member.shares.calibration.tokens[rank] > 0 { shown[rank] += Int(work.readBytes(of: block)) * rows }
    }
    // What was shown is gone before anything is factored.
    for rank in 0..<count { kept[rank] += max(2 * 4 * widest[rank] * widest[rank], shown[rank]) }
    guard let member, count > 1 else { return kept[0] }
    return member.isFirst ? kept[0] : kept.dropFirst().max() ?? 0
  }

  /// A block as it is held while text runs through it: its routed experts one by one where they are many.
  private static func blockBytes(_ block: Block, of graph: ModelGraph, _ work: PlannedWork, _ member: Member?) -> Int {
    let isPassing = graph.passesExperts(of: block)
    let ranks = work.isEncoder && work.calibrationTokens == 0 ? 1 : member?.shares.layout.ranks ?? 1
    var seen = Set<ParameterID>()
    var (held, reading) = (0, 0)
    for index in block.nodes {
      for id in graph.nodes[index].parameters where seen.insert(id).inserted {
        var bytes = work.sourceBytes(of: id)
        let share = expertShare(of: graph.nodes[index], work, ranks: ranks)
        if share == 1, graph.nodes[index].operation == .linear, work.isReadByRows(id) {
          // Who computes a part of the outputs needs as much of the weight.
          bytes = (bytes.reading / ranks, bytes.held / ranks)
        }
        reading = max(reading, isPassing && graph[id].role.isRoutedExpert ? bytes.reading : bytes.reading - bytes.held)
        if !isPassing || !graph[id].role.isRoutedExpert { held += Int(Double(bytes.held) * share) }
      }
    }
    guard work.isTensorParallel, ranks > 1 else { return held + reading }
    // What became of them everybody has whole.
    let codes = seen.reduce(0) { sum, id in
      guard case .quantized? = work.layout.parameters[id]?.storage, !isPassing || !graph[id].role.isRoutedExpert else { return sum }
      return sum + (work.layout.parameters[id]?.byteCount ?? 0)
    }
    return max(held + reading, codes)
  }

  /// The part of a block's experts that a process has, where each is one process's: of an expert's weight, for all are alike.
  private static func expertShare(of node: Node, _ work: PlannedWork, ranks: Int) -> Double {
    guard let experts = work.wholeExperts(of: node, among: ranks)?.experts else { return 1 }
    return Double((experts + ranks - 1) / ranks) / Double(experts)
  }

  /// The widest of what processes gather of a block: it is there once more, as messages bring it.
  private static func parcelBytes(_ block: Block, _ work: PlannedWork, _ member: Member?, rows: Int) -> Int {
    guard work.isTensorParallel, let ranks = member?.shares.layout.ranks, ranks > 1 else { return 0 }
    let widest = work.graph.nodes[block.nodes].reduce(0) { most, node in
      let width = work.graph[node.output].width ?? 0
      guard case .combine = node.operation else { return max(most, width) }
      // What experts gave is counted with them, and there once more is a process's own.
      return max(most, width * (work.wholeExperts(of: node, among: ranks)?.selected ?? 0) / ranks)
    }
    return 4 * rows * widest
  }

  /// The reference and the output, one after the other block by block, with the layer that both are compared in; then both heads together.
  private static func measuring(_ work: PlannedWork, _ member: Member?) -> [Phase] {
    guard let (tokens, context, rows) = work.evaluated else { return [] }
    let graph = work.graph
    let budget = Evaluator(interpreter: work.run.interpreter).limited(to: work.run.settings.maximumMemory, batch: nil).activationBudget
    let perWindow = context * work.width * 4 * 2
    let windows = min(tokens / max(1, context), max(1, budget / max(1, perWindow)))
    let own = member.map { min(windows, $0.shares.evaluation.most / max(1, context)) } ?? windows
    let states = own * perWindow
    let isFirst = member?.isFirst != false
    var most = Phase(name: "measuring", place: "", weights: 0, activations: 0)
    for block in graph.body {
      let weights = graph.linears(of: block).map(\.weight)
      // Layers are compared by the first process.
      let compared = !isFirst ? 0 : weights.map { (work.layout.parameters[$0]?.byteCount ?? 0) * 2 }.max() ?? 0
      let outputs = !isFirst ? 0 : weights.map { graph[$0].shape[0] * rows * 4 }.max() ?? 0
      let phase = Phase(
        name: "measuring", place: block.name, weights: blockBytes(block, of: graph, work, member) + compared,
        activations: states + graph.activationBytes(of: block, rows: rows) + outputs + parcelBytes(block, work, member, rows: rows))
      if phase.bytes > most.bytes { most = phase }
    }
    var phases = [most]
    if graph.purpose == .languageModel, let head = graph.blocks.last {
      let ids = Set(graph.nodes[head.nodes].flatMap(\.parameters))
      let weights = ids.reduce(0) { $0 + work.sourceBytes(of: $1).reading + (work.layout.parameters[$1]?.byteCount ?? 0) }
      let tile = max(8, min(256, (32 << 20) / (graph.vocabularySize * 4)))
      phases.append(
        Phase(name: "scoring", place: head.name, weights: weights, activations: states + 4 * tile * (graph.vocabularySize + work.width) * 4)
      )
    }
    if isFirst, work.run.settings.evaluation?.measuresSpeed == true, case .predictions? = work.evaluation, work.isTimed {
      let weights = graph.parameters.reduce(0) { $0 + $1.loadedByteCount } + work.outputBytes
      let activations = graph.body.map { graph.activationBytes(of: $0, rows: context) }.max() ?? 0
      phases.append(Phase(name: "timing", place: "both models", weights: weights, activations: activations))
    }
    return phases
  }
}
