import Compression
import Evaluation
import Execution
import Foundation
import ModelGraph
import Tensors

/// What becomes of a plan where several processes share the run: who does what, what they exchange, what each of them holds, and how long
/// all of it takes.
///
/// Shares follow from the rules that processes divide work by. Times are those of the plan for one process, of which each kind of work is divided, or
/// not, as it is in a run.
public struct PlannedRanks: Sendable {
  /// One of the processes.
  public struct Rank: Sendable {
    public let number: Int
    /// Its machine, from 0.
    public let node: Int
    /// Layers that it quantizes; those of all where all do the same.
    public let layers: Int
    /// What it quantizes of all weights, by the work that they are.
    public let share: Double
    public let calibrationTokens: Int
    public let evaluationTokens: Int
    /// From the disk, or from what the system has of it.
    public let bytesRead: Int
    public let bytesWritten: Int
    /// What it has and others need.
    public let bytesSent: Int
    public let bytesReceived: Int
    public let peakMemory: Int
  }

  /// A step of the plan.
  public struct Step: Sendable {
    public let name: String
    /// Of one process that does it all.
    public let secondsAlone: Double
    public let seconds: Double
    /// How it is divided, the largest part first.
    public let divisions: [WorkDivision]
  }

  public let layout: RankLayout
  /// Worker threads of each process.
  public let threads: Int
  /// Processors of a machine: those of this one.
  public let processors: Int
  public let ranks: [Rank]
  public let exchanges: [Exchange]
  public let steps: [Step]
  /// Of the first process, which writes; and of the one of the others that holds the most, where there are any.
  public let memory: (first: PlannedMemory, others: PlannedMemory?)
  /// What is taken for granted beside what the plan for one process assumes.
  public let assumptions: [String]
  /// False where a pass's work is not known.
  public let isComplete: Bool

  /// All steps, and what is exchanged, one after the other.
  public var seconds: Double { steps.reduce(0) { $0 + $1.seconds } + exchanges.reduce(0) { $0 + $1.seconds } }
  /// Of what is handed on, once.
  public var exchangedBytes: Int { exchanges.reduce(0) { $0 + $1.bytes } }
  /// Bytes that the processes of one machine hold at most.
  public var memoryOfMachine: Int {
    memory.first.peak + (layout.ranksPerNode - 1) * (memory.others?.peak ?? 0)
  }

  init(_ work: PlannedWork, _ layout: RankLayout, traffic: PlannedTraffic, time: PlannedTime) {
    let shares = RankShares(work, layout: layout)
    let measured = work.run.interpreter.pool.threads
    let processors = ProcessInfo.processInfo.activeProcessorCount
    let crowd = layout.ranksPerNode
    let threads = work.run.settings.threads ?? (crowd == 1 ? measured : max(1, processors / crowd))
    (self.layout, self.threads, self.processors, isComplete) = (layout, threads, processors, time.isComplete)
    let speed = RankSpeed(threads: threads, measured: measured, processors: processors)
    steps = time.steps.map { step in
      let divided = step.parts.filter { $0.seconds > 0 }.sorted { $0.seconds > $1.seconds }
      return Step(
        name: step.name, secondsAlone: step.seconds,
        seconds: step.parts.reduce(0) { $0 + $1.seconds * speed.factor(step.resource, $1.division, shares) },
        divisions: divided.reduce(into: []) { found, part in if !found.contains(part.division) { found.append(part.division) } })
    }
    exchanges = layout.ranks == 1 ? [] : Self.exchanges(work, shares)
    let first = PlannedMemory(work, of: .init(shares: shares, isFirst: true))
    let others = layout.ranks == 1 ? nil : PlannedMemory(work, of: .init(shares: shares, isFirst: false))
    memory = (first, others)
    ranks = Self.ranks(work, shares, traffic, exchanges, peaks: (first.peak, others?.peak ?? 0))
    var assumptions = [
      "\(layout.nodes == 1 ? "one machine" : "\(layout.nodes) machines") of \(processors) processors, as this one: \(threads) threads for each rank"
    ]
    if layout.ranks > 1 {
      let rate = String(format: "%.3g", layout.linkRate)
      assumptions += [
        "messages at \(rate) bytes/s\(layout.isRateAssumed ? " (nobody said: --link-rate)" : ""), \(layout.rounds) times for what goes to all",
        "every machine reads and writes as fast as this one, and reads once what all of its ranks read; where machines share one disk, both take longer",
        "ranks wait for each other behind a step or a block only; notes, digests and saves for --resume are not counted",
      ]
    }
    self.assumptions = assumptions
  }

  private static func ranks(
    _ work: PlannedWork, _ shares: RankShares, _ traffic: PlannedTraffic, _ exchanges: [Exchange], peaks: (first: Int, others: Int)
  ) -> [Rank] {
    let division = work.quantizing
    let all = Set(work.prepared.workers.flatMap(\.plan.keys)).count
    var owned = Array(repeating: division == .everyRank ? all : 0, count: shares.layout.ranks)
    if division != .everyRank { for owner in shares.owners.values { owned[owner] += 1 } }
    var writing = owned.indices.map { Int((Double(traffic.written) * shares.share(.writing, of: $0)).rounded(.down)) }
    writing[0] += traffic.written - writing.reduce(0, +)
    return owned.indices.map { rank in
      let read = traffic.steps.flatMap(\.parts).reduce(0.0) { $0 + Double($1.bytes) * shares.share($1.division, of: rank) }
      return Rank(
        number: rank, node: shares.layout.node(of: rank), layers: owned[rank], share: shares.share(division, of: rank),
        calibrationTokens: shares.calibration.tokens[rank], evaluationTokens: shares.evaluation.tokens[rank],
        bytesRead: Int(read.rounded()), bytesWritten: writing[rank], bytesSent: Int(exchanges.reduce(0) { $0 + $1.sent[rank] }.rounded()),
        bytesReceived: Int(exchanges.reduce(0) { $0 + $1.received[rank] }.rounded()), peakMemory: rank == 0 ? peaks.first : peaks.others)
    }
  }
}

/// How fast processes work that share the processors of their machine, beside one that has them all.
struct RankSpeed {
  /// Of each process.
  let threads: Int
  /// That the plan's rates were measured on.
  let measured: Int
  let processors: Int

  /// How long work takes, of what it takes one process.
  func factor(_ resource: PlannedTime.Resource, _ division: WorkDivision, _ shares: RankShares) -> Double {
    // Whoever has the most to do has its threads, and the processors of those who wait for it; together they have no more than there are.
    func longest(_ threads: Double, alone: Double) -> Double {
      let processors = Double(processors)
      return max(shares.slowestShare(division) / min(threads, processors), shares.machineWork(division) / processors) * alone
    }
    switch resource {
    case .threads: return longest(Double(threads), alone: min(Double(measured), Double(processors)))
    case .processor: return longest(1, alone: 1)
    case .reading, .writing: return shares.machineShare(division)
    }
  }
}

extension PlannedWork {
  /// How the weights are divided that passes quantize.
  var quantizing: WorkDivision { isByLayer ? .layers : feedback != nil ? .inputs : .everyRank }

  /// Bytes of what became of a weight, as it is handed on.
  func codeBytes(of id: ParameterID) -> Int {
    if run.recipe.format.keepsQuantizedWeights { return layout.parameters[id]?.byteCount ?? 0 }
    // The output holds numbers, what is handed on codes; their scales are a small part.
    let scheme = prepared.workers.lazy.compactMap { worker -> QuantizationScheme? in
      if case .quantized(let scheme)? = worker.plan[id] { scheme } else { nil }
    }.first
    return (graph[id].shape.elementCount * (scheme?.bits ?? 32) + 7) / 8
  }
}
