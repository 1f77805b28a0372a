import Compression
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// How long a run is expected to take, from what it has to do and rates that were measured on this machine when the plan was made.
public struct PlannedTime: Sendable {
  /// A part of the run.
  public struct Step: Sendable {
    public let name: String
    public let seconds: Double
    /// What it is made from: `11274289152 weights at 1.2e+08/s`.
    public let basis: String
    /// Who of several processes would do it.
    let parts: [Part]
    /// What its rate is one of.
    let resource: Resource
  }

  /// What of a step is divided in one way.
  struct Part {
    let division: WorkDivision
    let seconds: Double
  }

  /// What a step takes its time from.
  enum Resource {
    /// All threads of a process.
    case threads
    /// One thread.
    case processor
    case reading, writing
  }

  public private(set) var steps: [Step] = []
  /// What the estimate takes for granted, and what it leaves out, a sentence each.
  public private(set) var assumptions: [String] = []
  /// False where a pass's work is not known, so that there is no estimate of the whole.
  public private(set) var isComplete = true

  /// All steps, one after the other.
  public var seconds: Double { steps.reduce(0) { $0 + $1.seconds } }

  init(_ work: PlannedWork, traffic: PlannedTraffic) {
    do {
      let rates = try PlannedRates(work)
      assumptions.append("rates of the processor were measured on \(work.run.interpreter.pool.threads) threads while planning")
      quantizing(work, rates)
      if work.run.recipe.isCalibrated { calibrating(work, rates) }
      checking(work, rates)
      if work.evaluated != nil { measuring(work, rates) }
    } catch {
      isComplete = false
      assumptions.append("no rate could be measured: \(error)")
    }
    for pass in work.unknownPasses {
      isComplete = false
      assumptions.append("what \(pass) takes is not estimated")
    }
    moving(work, traffic)
  }

  private mutating func add(
    _ name: String, _ parts: [(division: WorkDivision, amount: Double)], _ unit: String, rate: Double, _ resource: Resource = .threads
  ) {
    let amount = parts.reduce(0) { $0 + $1.amount }
    guard amount > 0, rate > 0 else { return }
    steps.append(
      Step(
        name: name, seconds: amount / rate, basis: String(format: "%.4g %@ at %.3g/s", amount, unit, rate),
        parts: parts.map { Part(division: $0.division, seconds: $0.amount / rate) }, resource: resource))
  }

  private mutating func add(
    _ name: String, _ amount: Double, _ unit: String, rate: Double, _ division: WorkDivision, _ resource: Resource = .threads
  ) {
    add(name, [(division, amount)], unit, rate: rate, resource)
  }

  private mutating func quantizing(_ work: PlannedWork, _ rates: PlannedRates) {
    if let rate = rates.quantizing {
      add("quantize", work.quantized.weights, "weights", rate: rate, work.isByLayer ? .layers : .everyRank)
    }
    guard let rate = rates.decoding else { return }
    let (all, quantized) = work.coded
    // Calibration runs every block at every process, but its experts when text comes to them.
    let passing = work.run.recipe.isCalibrated ? work.passingExpertWeights : 0
    let parts: [(division: WorkDivision, amount: Double)] =
      work.isByLayer
      ? [(.layers, quantized), (.writing, all - quantized)] : [(.everyRank, all - passing), (work.calibrationForwards, passing)]
    add("decode the source", parts, "FP8 weights", rate: rate, .processor)
  }

  private mutating func calibrating(_ work: PlannedWork, _ rates: PlannedRates) {
    let tokens = Double(work.calibrationTokens)
    // Statistics of every block as it was, then its output as it is quantized.
    add("calibration forwards", 2 * work.forwardOperations(tokens: tokens), "operations", rate: rates.products, work.calibrationForwards)
    if let rate = rates.decoding {
      let batches = max(1, (tokens / 2048).rounded(.up))
      add(
        "decode experts for calibration", work.passingExpertWeights * (batches - 1), "FP8 weights", rate: rate,
        work.calibrationForwards, .processor)
    }
    assumptions.append("calibration is counted as \(work.calibrationTokens) tokens, which a short text may not have")
    guard let feedback = rates.feedback else { return }
    var (gram, routed, factors, rounding, search) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for block in work.graph.blocks {
      var seen = Set<ValueID>()
      for (node, id) in work.graph.linears(of: block) {
        guard case .quantized? = work.layout.parameters[id]?.storage else { continue }
        let (outputs, inputs) = (Double(work.graph[id].shape[0]), Double(work.graph[id].shape[1]))
        rounding += outputs * inputs * inputs
        search += outputs * inputs
        guard seen.insert(node.inputs[0]).inserted else { continue }
        if work.graph[node.inputs[0]].route == nil {
          gram += inputs * inputs * tokens
        } else {
          routed += inputs * inputs * tokens * work.routedShare(of: node)
        }
        factors += inputs * inputs * inputs / 3
      }
    }
    add("sums of inputs (Hessians)", [(work.sums, gram), (.inputs, routed)], "products", rate: feedback.gram)
    add("factorizations", factors, "products", rate: feedback.factor, .inputs)
    add("search for scales", search, "weights", rate: feedback.search, .inputs)
    add("rounding with feedback", rounding, "products", rate: feedback.rounding, .inputs)
    assumptions.append("tokens are taken to go to all experts alike")
  }

  private mutating func checking(_ work: PlannedWork, _ rates: PlannedRates) {
    let (source, output) = (Double(work.sourceBytes), Double(work.outputBytes))
    // Each weight as it is written and as it is read back, and every file for the report.
    add("digests", [(.writing, output), (.weights, output), (.files, source + output)], "bytes", rate: rates.digest, .processor)
    guard let rate = rates.comparing else { return }
    add("compare weights", work.quantized.weights, "weights", rate: rate, .weights)
    if let decoding = rates.decoding {
      add("decode to compare", work.coded.quantized, "FP8 weights", rate: decoding, .weights, .processor)
    }
  }

  private mutating func measuring(_ work: PlannedWork, _ rates: PlannedRates) {
    guard let (tokens, _, rows) = work.evaluated else { return }
    let times = Double(work.evaluations)
    let forward = work.forwardOperations(tokens: Double(tokens))
    let text = work.isEncoder ? .everyRank : work.isTensorParallel ? .outputs : WorkDivision.evaluationText
    // Heads are scored by windows, however blocks are run.
    let heads = work.isTensorParallel ? times * work.headOperations(tokens: Double(tokens)) : 0
    let parts: [(division: WorkDivision, amount: Double)] = [(text, times * forward - heads), (.evaluationText, heads)]
    add("forwards of the source", parts, "operations", rate: rates.products)
    // The first batch runs through both forms of every layer, to compare them.
    let compared = work.forwardOperations(tokens: Double(min(tokens, rows)))
    add(
      "forwards of the output", parts + [(.firstRank, compared)], "operations",
      rate: rates.quantizedProducts ?? rates.products)
    if let rate = rates.decoding {
      let batches = (Double(tokens) / Double(max(1, rows))).rounded(.up)
      let coded = work.codedBodyWeights
      add(
        "decode for measuring",
        [(.everyRank, times * coded.kept * Double(work.evaluationChunks)), (text, times * work.passingExpertWeights * batches)],
        "FP8 weights", rate: rate, .processor)
    }
    if work.isTimed { assumptions.append("timing prefill and decoding is not counted") }
    assumptions.append("attention's own products, norms and the rest of the forward are not counted")
  }

  private mutating func moving(_ work: PlannedWork, _ traffic: PlannedTraffic) {
    let files = work.run.model.checkpoint.files
    if work.run.model.checkpoint.holdsValues, let rate = files.lazy.compactMap({ DiskProbe.reading($0) }).first {
      let parts = traffic.steps.flatMap(\.parts).map { (division: $0.division, amount: Double($0.bytes)) }
      add("read from disk", parts, "bytes", rate: rate, .reading)
      assumptions.append("every read is counted as one from the disk: what stays in the system's cache is faster")
    } else {
      assumptions.append("reading is not counted: the source's files leave nothing to time it on")
    }
    if let rate = DiskProbe.writing(in: work.run.settings.output.deletingLastPathComponent()) {
      add("write to disk", Double(traffic.written), "bytes", rate: rate, .writing, .writing)
    } else {
      assumptions.append("writing is not counted: nothing can be written beside the output to time it on")
    }
  }
}

extension PlannedWork {
  /// Who runs the calibration text through blocks, and decodes the experts that it comes to.
  fileprivate var calibrationForwards: WorkDivision { isTensorParallel ? .outputs : .calibrationText }
  /// Who adds up what all tokens go through.
  fileprivate var sums: WorkDivision { isTensorParallel ? .sums : .inputs }

  /// Operations of the head's linear layers alone.
  fileprivate func headOperations(tokens: Double) -> Double {
    guard graph.purpose == .languageModel, let head = graph.blocks.last else { return 0 }
    return graph.linears(of: head).reduce(0.0) { $0 + 2 * Double(graph[$1.weight].shape.elementCount) * tokens }
  }

  /// Operations of the linear layers for that many tokens, two for a weight that a token meets.
  func forwardOperations(tokens: Double) -> Double {
    graph.blocks.reduce(0.0) { sum, block in
      graph.linears(of: block).reduce(sum) { sum, layer in
        sum + 2 * Double(graph[layer.weight].shape.elementCount) * tokens * routedShare(of: layer.node)
      }
    }
  }

  /// FP8 weights of what the graph runs beside experts that are read one by one.
  var codedBodyWeights: (kept: Double, all: Double) {
    let all = layers.reduce(0.0) { sum, layer in
      sum + (layer.reason != .notRun && layer.isCoded ? Double(layer.shape.elementCount) : 0)
    }
    return (all - passingExpertWeights, all)
  }

  /// FP8 weights of routed experts that are read again for every batch.
  var passingExpertWeights: Double {
    guard coded.all > 0 else { return 0 }
    return graph.blocks.filter { graph.passesExperts(of: $0) }.reduce(0.0) { sum, block in
      graph.linears(of: block).reduce(sum) { sum, layer in
        sum + (graph[layer.weight].role.isRoutedExpert ? Double(graph[layer.weight].shape.elementCount) : 0)
      }
    }
  }
}
