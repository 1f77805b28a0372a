import Compression
import Evaluation
import ModelGraph
import Tensors

extension PlannedRanks {
  /// What processes hand each other.
  public struct Exchange: Sendable {
    public enum Kind: String, Sendable {
      case layerInputs = "layer-inputs"
      case layerOutputs = "layer-outputs"
      case sums, weights, scores
    }

    /// Who gets it.
    public enum Recipients: String, Sendable {
      case all
      case firstRank = "first-rank"
      /// Of each part the one process that works on the layers that read it.
      case readers
    }

    public let kind: Kind
    public let recipients: Recipients
    public let seconds: Double
    /// By rank; what goes to all is counted once.
    let sent: [Double]
    let received: [Double]

    /// Of what is handed on, once.
    public var bytes: Int { Int(sent.reduce(0, +).rounded()) }
  }

  static func exchanges(_ work: PlannedWork, _ shares: RankShares) -> [Exchange] {
    var exchanges: [Exchange] = []
    func add(_ kind: Exchange.Kind, _ bytes: Double, _ division: WorkDivision) {
      if bytes >= 1 { exchanges.append(.toAll(kind, bytes, division, shares)) }
    }
    if work.isByLayer {
      // What is written where it is quantized stays there; so does what the first process quantizes itself, where it writes all.
      let sent =
        work.layout.encoding.isDivisible
        ? 0 : shares.owners.reduce(0) { sum, owner in sum + (owner.value == 0 ? 0 : work.codeBytes(of: owner.key)) }
      if sent > 0 { exchanges.append(.toFirst(.weights, Double(sent), .layers, shares)) }
    } else if work.run.recipe.isCalibrated {
      if !work.isTensorParallel {
        let inputs = LayerInputs(work, shares)
        add(.layerInputs, inputs.toAll, .calibrationText)
        if let inputs = inputs.exchange { exchanges.append(inputs) }
      } else if work.feedback != nil {
        let bands = Exchange.bands(work, shares)
        if bands.bytes >= 1 { exchanges.append(bands) }
      }
      if work.feedback != nil {
        let codes = shares.owners.keys.reduce(0) { $0 + work.codeBytes(of: $1) }
        add(.weights, Double(codes), .inputs)
      }
    }
    if work.isTensorParallel {
      let outputs = Exchange.outputs(work, shares)
      if outputs.bytes >= 1 { exchanges.append(outputs) }
    }
    if case .predictions(let plan)? = work.evaluation {
      add(.scores, Double(work.evaluations * plan.text.predictions * Self.scoreBytes), .evaluationText)
    }
    return exchanges
  }

  /// What one process tells the others of a prediction: three figures, and what was right.
  private static let scoreBytes = 32

  /// What linear layers read of the calibration text.
  private struct LayerInputs {
    /// Bytes that every process is shown.
    private(set) var toAll = 0.0
    /// What goes to those alone who ask for it.
    private(set) var exchange: Exchange?

    init(_ work: PlannedWork, _ shares: RankShares) {
      let planned = Set(work.prepared.workers.flatMap(\.plan.keys))
      let (count, graph) = (shares.layout.ranks, work.graph)
      let windows = (0..<count).map { shares.share(.calibrationText, of: $0) }
      var (sent, received, seconds) = (Array(repeating: 0.0, count: count), Array(repeating: 0.0, count: count), 0.0)
      for block in graph.blocks.dropFirst() {
        let linears = graph.linears(of: block)
        guard linears.contains(where: { planned.contains($0.weight) }) else { continue }
        // Experts get rows of it.
        var sources = Set<ValueID>()
        for node in graph.nodes[block.nodes] { if case .dispatch = node.operation { sources.insert(node.inputs[0]) } }
        var owners: [ValueID: Int] = [:]
        for (node, weight) in linears { if let owner = shares.owners[weight] { owners[node.inputs[0]] = owner } }
        var (given, taken) = (Array(repeating: 0.0, count: count), Array(repeating: 0.0, count: count))
        for (value, tokenBytes) in work.readValues(of: block) {
          let bytes = tokenBytes * Double(work.calibrationTokens)
          guard work.feedback != nil, !sources.contains(value) else {
            toAll += bytes
            continue
          }
          let owner = owners[value] ?? 0
          for rank in 0..<count where rank != owner {
            given[rank] += bytes * windows[rank]
            taken[owner] += bytes * windows[rank]
          }
        }
        for rank in 0..<count {
          sent[rank] += given[rank]
          received[rank] += taken[rank]
        }
        // All wait for whoever has the most to send or to take.
        seconds += max(given.max() ?? 0, taken.max() ?? 0) / shares.layout.linkRate
      }
      guard sent.contains(where: { $0 >= 1 }) else { return }
      exchange = Exchange(kind: .layerInputs, recipients: .readers, seconds: seconds, sent: sent, received: received)
    }
  }
}

extension PlannedWork {
  /// Tokens that run through the model, each time that they do.
  fileprivate var textTokens: Double {
    var measured = 0.0
    // Through the model and its reference.
    if !isEncoder, let evaluated { measured = 2 * Double(evaluations * evaluated.tokens) }
    return 2 * Double(calibrationTokens) + measured
  }

  /// Bytes of what a token is before each block, and of what the layers and the attention of all blocks give for it.
  fileprivate func tokenBytes(among ranks: Int) -> (before: Double, given: Double) {
    graph.body.dropFirst().reduce((0, 0)) { sum, block in
      let given = graph.nodes[block.nodes].reduce(0.0) { sum, node in
        let width = Double(graph[node.output].width ?? 0)
        return switch node.operation {
        // Of experts that are run whole what they give together.
        case .linear: wholeExperts(of: node, among: ranks) == nil ? sum + width * routedShare(of: node) : sum
        case .combine: sum + width * Double(wholeExperts(of: node, among: ranks)?.selected ?? 0)
        case .attention: sum + width
        default: sum
        }
      }
      return (sum.0 + 4 * Double(width), sum.1 + 4 * given)
    }
  }
}

extension PlannedRanks.Exchange {
  /// What a part of the outputs is, from each to all; and before each block what one of them has kept.
  fileprivate static func outputs(_ work: PlannedWork, _ shares: RankShares) -> Self {
    let (count, bytes) = (Double(shares.layout.ranks), work.tokenBytes(among: shares.layout.ranks))
    let (before, given) = (bytes.before * work.textTokens, bytes.given * work.textTokens)
    let own = Array(repeating: (before + given) / count, count: shares.layout.ranks)
    // Parts come from all at once: each takes what the others have.
    let seconds = (before * Double(shares.layout.rounds) + given * (count - 1) / count) / shares.layout.linkRate
    return Self(
      kind: .layerOutputs, recipients: .all, seconds: seconds, sent: own, received: own.map { before + given - $0 })
  }

  /// The rows of sums, to whoever works on the layers that read what was added up.
  fileprivate static func bands(_ work: PlannedWork, _ shares: RankShares) -> Self {
    let count = shares.layout.ranks
    var (sent, received, seconds) = (Array(repeating: 0.0, count: count), Array(repeating: 0.0, count: count), 0.0)
    for block in work.graph.blocks.dropFirst() {
      var (seen, taken) = (Set<ValueID>(), Array(repeating: 0.0, count: count))
      for (node, weight) in work.graph.linears(of: block) {
        let value = node.inputs[0]
        guard let owner = shares.owners[weight], work.graph[value].route == nil, seen.insert(value).inserted else { continue }
        let inputs = work.graph[weight].shape[1]
        for (rank, band) in GramMatrix.bands(of: inputs, among: count).enumerated() where rank != owner {
          let bytes = 4 * Double(band.upperBound) * Double(band.count)
          sent[rank] += bytes
          taken[owner] += bytes
        }
      }
      for rank in 0..<count { received[rank] += taken[rank] }
      seconds += (taken.max() ?? 0) / shares.layout.linkRate
    }
    return Self(kind: .sums, recipients: .readers, seconds: seconds, sent: sent, received: received)
  }

  /// Handed on by those who have it already, once for every doubling of them.
  fileprivate static func toAll(_ kind: Kind, _ bytes: Double, _ division: WorkDivision, _ shares: RankShares) -> Self {
    let own = (0..<shares.layout.ranks).map { bytes * shares.share(division, of: $0) }
    return Self(
      kind: kind, recipients: .all, seconds: bytes * Double(shares.layout.rounds) / shares.layout.linkRate, sent: own,
      received: own.map { bytes - $0 })
  }

  /// All but what the first one has itself.
  fileprivate static func toFirst(_ kind: Kind, _ bytes: Double, _ division: WorkDivision, _ shares: RankShares) -> Self {
    let ranks = 0..<shares.layout.ranks
    let whole = max(1e-9, 1 - shares.share(division, of: 0))
    return Self(
      kind: kind, recipients: .firstRank, seconds: bytes / shares.layout.linkRate,
      sent: ranks.map { $0 == 0 ? 0 : bytes * shares.share(division, of: $0) / whole }, received: ranks.map { $0 == 0 ? bytes : 0 })
  }
}
