import Compression
import Distribution
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// Who does what of a run that several processes share: as they divide it themselves, from the sizes of what there is to do.
struct RankShares {
  let layout: RankLayout
  /// Of each kind of work what every rank does; the whole is 1. Work that is not divided is all of it at whoever does it.
  private var shares: [WorkDivision: [Double]] = [:]
  /// What takes as long as all of it does: the share of the slowest, of each part that the others wait for.
  private var slowest: [WorkDivision: Double] = [:]
  /// Whose each layer is that one process alone quantizes.
  private(set) var owners: [ParameterID: Int] = [:]
  /// Who writes each parameter.
  private(set) var writers: [ParameterID: Int] = [:]
  /// Tokens that run together while text is calibrated on, and batches of them.
  let calibration: Batches
  let evaluation: Batches

  /// Windows that are cut into batches, which go to the ranks in turn.
  struct Batches {
    /// Tokens of each rank.
    let tokens: [Int]
    /// Of the rank that has the most at once.
    let most: Int
    /// Of the slowest, where all wait for each other behind every part.
    let slowest: Int

    var total: Int { tokens.reduce(0, +) }
    /// Of the rank behind the first that has the most.
    var mostOfOthers: Int { tokens.dropFirst().max() ?? 0 }

    /// - Parameters:
    ///   - parts: windows that are in memory together; all of them begin with the first rank.
    init(windows: Int, of length: Int, rows: Int, parts: Int = .max, ranks: Int) {
      let perBatch = max(1, rows / max(1, length))
      let perPart = max(1, min(parts, windows))
      var (tokens, most, slowest) = (Array(repeating: 0, count: ranks), 0, 0)
      // All parts but the last are alike.
      for (count, times) in [(perPart, windows / perPart), (windows % perPart, 1)] where count > 0 && times > 0 {
        var own = Array(repeating: 0, count: ranks)
        for (batch, start) in stride(from: 0, to: count, by: perBatch).enumerated() {
          own[batch % ranks] += min(perBatch, count - start) * length
        }
        for rank in 0..<ranks { tokens[rank] += times * own[rank] }
        most = max(most, own.max() ?? 0)
        slowest += times * (own.max() ?? 0)
      }
      (self.tokens, self.most, self.slowest) = (tokens, most, slowest)
    }

    /// Text that every rank has to itself.
    init(undivided tokens: Int, ranks: Int) {
      (self.tokens, most, slowest) = (Array(repeating: tokens, count: ranks), tokens, tokens)
    }
  }

  /// Tokens of the calibration text that a block works on together.
  static let calibrationRows = 2048

  init(_ work: PlannedWork, layout: RankLayout) {
    self.layout = layout
    let count = layout.ranks
    let plan = work.run.recipe.calibration
    calibration = Batches(
      windows: work.calibrationTokens > 0 ? plan?.samples ?? 0 : 0, of: max(1, plan?.sequenceLength ?? 1), rows: Self.calibrationRows,
      ranks: count)
    if case .predictions(let plan)? = work.evaluation, let evaluated = work.evaluated {
      evaluation = Batches(
        windows: plan.text.windows.count, of: evaluated.context, rows: evaluated.rows, parts: work.windowsPerChunk, ranks: count)
    } else {
      // Sentences are not divided.
      evaluation = Batches(undivided: work.evaluated?.tokens ?? 0, ranks: count)
    }
    shares[.everyRank] = Array(repeating: 1, count: count)
    shares[.firstRank] = (0..<count).map { $0 == 0 ? 1 : 0 }
    divideLayers(work)
    divideInputs(work)
    divideWriting(work)
    set(.outputs, Array(repeating: 1, count: count))
    set(.sums, Array(repeating: 1, count: count))
    set(.calibrationText, calibration.tokens.map(Double.init), slowest: Double(calibration.slowest))
    if !work.isEncoder { set(.evaluationText, evaluation.tokens.map(Double.init), slowest: Double(evaluation.slowest)) }
    var weights = Array(repeating: 0.0, count: count)
    for (index, layer) in work.layers.enumerated() { weights[index % count] += Double(layer.outputBytes) }
    set(.weights, weights)
    var files = Array(repeating: 0.0, count: count)
    var waiting = WorkShares(among: count)
    for size in work.fileSizes { files[waiting.take(size)] += size }
    set(.files, files)
  }

  /// What a rank does of some work.
  func share(_ division: WorkDivision, of rank: Int) -> Double { shares[division]?[rank] ?? 0 }

  /// How long the slowest rank has to do with it, of what it all takes.
  func slowestShare(_ division: WorkDivision) -> Double { slowest[division] ?? 1 }

  /// What is done on the machine that does the most, of what it all takes one process.
  func machineWork(_ division: WorkDivision) -> Double {
    var machines = Array(repeating: 0.0, count: layout.nodes)
    for rank in 0..<layout.ranks { machines[layout.node(of: rank)] += share(division, of: rank) }
    return machines.max() ?? 1
  }

  /// What is read on the machine that reads the most, of all bytes: ranks that need the same read it once.
  func machineShare(_ division: WorkDivision) -> Double {
    guard division != .everyRank, division != .firstRank, let shares = shares[division] else { return 1 }
    var machines = Array(repeating: 0.0, count: layout.nodes)
    for (rank, share) in shares.enumerated() { machines[layout.node(of: rank)] += share }
    return min(1, machines.max() ?? 1)
  }

  private mutating func set(_ division: WorkDivision, _ amounts: [Double], slowest: Double? = nil) {
    let whole = amounts.reduce(0, +)
    guard whole > 0 else { return }
    shares[division] = amounts.map { $0 / whole }
    self.slowest[division] = (slowest ?? amounts.max() ?? whole) / whole
  }

  /// Layers as `CompressionRun.writeWeights` gives them away.
  private mutating func divideLayers(_ work: PlannedWork) {
    guard work.isByLayer else { return }
    let planned = Set(work.prepared.workers.flatMap(\.plan.keys))
    let isDivided = layout.ranks > 1 && work.layout.encoding.isDivisible
    var (waiting, weights) = (WorkShares(among: layout.ranks), Array(repeating: 0.0, count: layout.ranks))
    for (block, parameters) in zip(work.graph.blocks, work.layout.blocks) {
      for part in work.graph.layers(of: block, parameters: parameters) {
        let rank = waiting.take(work.layout.cost(of: part.parameters, planned, isDivided: isDivided))
        for id in part.parameters {
          if isDivided { writers[id] = rank }
          guard planned.contains(id) else { continue }
          owners[id] = rank
          weights[rank] += Double(work.graph[id].shape.elementCount)
        }
      }
    }
    set(.layers, weights)
  }

  /// Weights as `WeightOutput` gives away those that all processes have.
  private mutating func divideWriting(_ work: PlannedWork) {
    let isDivided = work.layout.encoding.isDivisible
    var (waiting, bytes) = (WorkShares(among: layout.ranks), Array(repeating: 0.0, count: layout.ranks))
    for id in work.layout.blocks.joined() {
      guard let entry = work.layout.parameters[id] else { continue }
      let rank = !isDivided ? 0 : writers[id] ?? waiting.take(Double(entry.byteCount))
      writers[id] = rank
      bytes[rank] += Double(entry.byteCount)
    }
    for entry in work.layout.extras { bytes[isDivided ? waiting.take(Double(entry.byteCount)) : 0] += Double(entry.byteCount) }
    set(.writing, bytes)
  }

  /// Layers as GPTQ divides those of a block: all wait for the last of them.
  private mutating func divideInputs(_ work: PlannedWork) {
    guard work.feedback != nil else { return }
    let planned = Set(work.prepared.workers.flatMap(\.plan.keys))
    let tokens = work.calibrationTokens
    var (loads, slowest) = (Array(repeating: 0.0, count: layout.ranks), 0.0)
    for block in work.graph.blocks {
      let layers = work.graph.linears(of: block).filter { planned.contains($0.weight) }
      guard !layers.isEmpty else { continue }
      let ranks = LayerDivision.ranks(
        of: layers, among: layout.ranks,
        cost: { GPTQ.divisionCost(ofInputs: $0, weights: $1, tokens: work.isTensorParallel && layout.ranks > 1 ? 0 : tokens) },
        in: work.graph)
      var own = Array(repeating: 0.0, count: layout.ranks)
      var readers: [ValueID: [Shape]] = [:]
      for (node, weight) in layers {
        readers[node.inputs[0], default: []].append(work.graph[weight].shape)
        owners[weight] = ranks[node.inputs[0]]
      }
      for (node, _) in layers {
        // Where the first of its readers stands, so that sums have an order.
        guard let shapes = readers.removeValue(forKey: node.inputs[0]), let shape = shapes.first else { continue }
        own[ranks[node.inputs[0]] ?? 0] += GPTQ.divisionCost(
          ofInputs: shape[shape.rank - 1], weights: shapes,
          tokens: work.isTensorParallel && work.graph[node.inputs[0]].route == nil
            ? 0 : Int(Double(tokens) * work.routedShare(of: node)))
      }
      for rank in own.indices { loads[rank] += own[rank] }
      slowest += own.max() ?? 0
    }
    set(.inputs, loads, slowest: slowest)
  }
}

extension PlannedWork {
  /// Whether layers are treated by themselves, so that each can be one process's.
  var isByLayer: Bool { PlannedMemory.worksLayerByLayer(run, prepared) }

  /// Whether what is measured are embeddings.
  var isEncoder: Bool { if case .embeddings? = evaluation { true } else { false } }

  /// What of the tokens comes to a layer, where routers take them to all experts alike.
  func routedShare(of node: Node) -> Double {
    let routing = graph.expert(of: node).flatMap { graph.routing(of: $0.routing) }
    return routing.map { Double($0.selected) / Double($0.experts) } ?? 1
  }

  /// The routing of experts that processes run whole, of a layer of theirs or of what puts them together; nil for other nodes.
  func wholeExperts(of node: Node, among ranks: Int) -> Routing? {
    var value = graph.expert(of: node)?.routing
    if case .combine = node.operation { value = node.inputs[0] }
    guard isTensorParallel, ranks > 1, let routing = value.flatMap({ graph.routing(of: $0) }) else { return nil }
    return Interpreter.runsWholeExperts(routing.experts, among: ranks) ? routing : nil
  }

  /// Bytes of the files that are digested, as if those of the source were alike: of one whose data are not there, only their sum is known.
  var fileSizes: [Double] {
    let count = max(1, run.model.weightFiles.count)
    let isOne = [OutputFormat.hdf5, .keras, .gguf].contains(run.recipe.format)
    let shard = isOne ? max(1, outputBytes) : SafeTensorsWriter.defaultShardBytes
    let source = Array(repeating: Double(sourceBytes) / Double(count), count: count)
    return source + stride(from: 0, to: outputBytes, by: shard).map { Double(min(shard, outputBytes - $0)) }
  }

  /// The values that the linear layers of a block read, each once, with their bytes for one token.
  func readValues(of block: Block) -> [(value: ValueID, bytes: Double)] {
    var seen = Set<ValueID>()
    return graph.linears(of: block).compactMap { node, weight in
      let shape = graph[weight].shape
      return seen.insert(node.inputs[0]).inserted ? (node.inputs[0], 4 * Double(shape[shape.rank - 1]) * routedShare(of: node)) : nil
    }
  }

  /// Bytes of all of them.
  func readBytes(of block: Block) -> Double { readValues(of: block).reduce(0) { $0 + $1.bytes } }
}
