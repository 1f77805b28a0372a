import DeepSeekOptimize
import Foundation
import Synchronization
import Testing

@testable import Recipes

/// What a plan says of several processes, held against itself and against what processes do.
@Suite struct RankPlanTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var rounding: Recipe { Recipe(passes: [RoundToNearest(bits: 4, method: .symmetric, groupSize: 64)]) }

  private var feedback: Recipe {
    Recipe(passes: [GPTQ(bits: 4, groupSize: 64)], calibration: CalibrationPlan(text: "demo", samples: 64, sequenceLength: 128))
  }

  private func run(_ recipe: Recipe) throws -> CompressionRun { try Self.run(recipe, to: URL(fileURLWithPath: directory.path("out"))) }

  private static func run(
    _ recipe: Recipe, of model: String = "demo", to output: URL, in group: ProcessGroup = .alone, tensorParallel: Bool = false
  ) throws -> CompressionRun {
    var settings = RunSettings(output: output)
    settings.evaluation = EvaluationSettings(context: 64, tokens: 8192)
    settings.evaluation?.measuresSpeed = false
    settings.group = group
    settings.isTensorParallel = tensorParallel
    return CompressionRun(model: try ModelBundle(opening: model), recipe: recipe, settings: settings)
  }

  private func plan(_ recipe: Recipe, _ ranks: Int, nodes: Int = 1, rate: Double? = nil) throws -> PlannedRanks {
    let layout = try RankLayout(ranks: ranks, nodes: nodes, linkRate: rate)
    return try #require(try run(recipe).plan(for: layout).ranks)
  }

  @Test func onlyWhoAsksIsToldOfRanks() throws { #expect(try run(rounding).plan().ranks == nil) }

  /// One rank is one process: every step takes as long, and nothing is exchanged.
  @Test func oneRankIsThePlanWithoutRanks() throws {
    for recipe in [rounding, feedback] {
      let whole = try run(recipe).plan(for: RankLayout(ranks: 1))
      let ranks = try #require(whole.ranks)
      #expect(ranks.steps.map(\.name) == whole.time.steps.map(\.name))
      for (own, step) in zip(ranks.steps, whole.time.steps) {
        #expect(abs(own.seconds - step.seconds) <= 1e-9 * step.seconds, "\(step.name)")
      }
      #expect(ranks.exchanges.isEmpty && ranks.memory.others == nil)
      #expect(ranks.memory.first.phases.map(\.bytes) == whole.memory.phases.map(\.bytes))
      let only = try #require(ranks.ranks.first)
      #expect(ranks.ranks.count == 1 && only.bytesRead == whole.traffic.read && only.bytesWritten == whole.traffic.written)
    }
  }

  /// What all do together is what there is to do, each of it once.
  @Test(arguments: [2, 3, 7, 64])
  func sharesAreTheWhole(_ count: Int) throws {
    for recipe in [rounding, feedback] {
      let one = try #require(try plan(recipe, 1).ranks.first)
      let ranks = try plan(recipe, count).ranks
      #expect(ranks.count == count)
      #expect(abs(ranks.reduce(0) { $0 + $1.share } - 1) < 1e-9)
      #expect(ranks.reduce(0) { $0 + $1.layers } == one.layers)
      #expect(ranks.reduce(0) { $0 + $1.calibrationTokens } == one.calibrationTokens)
      #expect(ranks.reduce(0) { $0 + $1.evaluationTokens } == one.evaluationTokens)
      #expect(ranks.reduce(0) { $0 + $1.bytesWritten } == one.bytesWritten)
      // Some tensors are large, but there are more than that.
      #expect(count > 7 || ranks.allSatisfy { $0.bytesWritten > 0 })
    }
  }

  /// Messages that everybody gets are somebody's, and all others'.
  @Test func whatIsSentIsReceived() throws {
    for recipe in [rounding, feedback] {
      let plan = try plan(recipe, 3)
      #expect(plan.exchangedBytes > 0)
      let sent = plan.ranks.reduce(0) { $0 + $1.bytesSent }
      #expect(abs(sent - plan.exchangedBytes) <= 3)
      let received = plan.exchanges.reduce(0) { $0 + $1.bytes * ($1.recipients == .all ? 2 : 1) }
      #expect(abs(plan.ranks.reduce(0) { $0 + $1.bytesReceived } - received) <= 3)
    }
  }

  /// Layers by themselves are divided, those behind a calibration that nobody divides are not.
  @Test func whatIsNotDividedIsNotCountedAsIfItWere() throws {
    func step(_ recipe: Recipe, _ ranks: Int) throws -> PlannedRanks.Step {
      // A machine for each.
      let found = try plan(recipe, ranks, nodes: ranks).steps.first { $0.name == "quantize" }
      return try #require(found)
    }
    let divided = try step(rounding, 4)
    #expect(divided.divisions == [.layers])
    #expect(divided.seconds < 0.5 * divided.secondsAlone && divided.seconds >= 0.25 * divided.secondsAlone)
    var weighted = rounding
    weighted.passes = [SmoothQuant(), RoundToNearest(bits: 8, groupSize: 64)]
    weighted.calibration = feedback.calibration
    let alike = try step(weighted, 4)
    #expect(alike.divisions == [.everyRank] && abs(alike.seconds - alike.secondsAlone) <= 1e-9 * alike.secondsAlone)
    let shared = try #require(try plan(weighted, 4).ranks.last)
    #expect(shared.share == 1 && shared.layers > 0)
    // Into a file of HDF5 one process writes; into others all do.
    func writing(_ format: OutputFormat) throws -> PlannedRanks.Step {
      var recipe = rounding
      recipe.format = format
      let found = try plan(recipe, 4, nodes: 4).steps.first { $0.name == "write to disk" }
      return try #require(found)
    }
    let (alone, together) = (try writing(.hdf5), try writing(.compressedTensors))
    #expect(abs(alone.seconds - alone.secondsAlone) <= 1e-9 * alone.secondsAlone)
    #expect(together.seconds < 0.8 * together.secondsAlone && together.seconds >= 0.25 * together.secondsAlone)
  }

  /// Activations fall with ranks; the weights of a block, which every rank runs its windows through, do not.
  @Test func activationsFallAndBlocksDoNot() throws {
    func calibrating(_ ranks: Int) throws -> PlannedMemory.Phase {
      let plan = try plan(feedback, ranks)
      let phase = (plan.memory.others ?? plan.memory.first).phases.first { $0.name == "calibrating" }
      return try #require(phase)
    }
    let (two, four) = (try calibrating(2), try calibrating(4))
    #expect(four.activations < two.activations && four.weights == two.weights)
    let (one, many) = (try plan(feedback, 1).memory, try plan(feedback, 4).memory)
    func scoring(_ memory: PlannedMemory?) -> Int? { memory?.phases.first { $0.name == "scoring" }?.activations }
    let (before, first, other) = try (#require(scoring(one.first)), #require(scoring(many.first)), #require(scoring(many.others)))
    #expect(first < before && other < before)
    // Every process compares some of the weights.
    let others = try #require(many.others)
    #expect(many.first.phases.contains { $0.name == "comparing" } && others.phases.contains { $0.name == "comparing" })
  }

  /// Where ranks compute parts of outputs each needs a part of a block's weights, and of the sums over what layers read.
  @Test func blocksFallWhereOutputsAreDivided() throws {
    func plan(_ ranks: Int) throws -> PlannedRanks {
      let output = URL(fileURLWithPath: directory.path("out"))
      return try #require(try Self.run(feedback, to: output, tensorParallel: true).plan(for: RankLayout(ranks: ranks, nodes: ranks)).ranks)
    }
    func calibrating(_ plan: PlannedRanks) throws -> PlannedMemory.Phase {
      try #require((plan.memory.others ?? plan.memory.first).phases.first { $0.name == "calibrating" })
    }
    let (one, two, four) = (try plan(1), try plan(2), try plan(4))
    let weights = try [one, two, four].map { try calibrating($0).weights }
    // All but norms, which each keeps.
    #expect(weights[1] < weights[0] * 11 / 20 && weights[2] < weights[1] * 11 / 20, "\(weights)")
    // Experts fall whole, as far as there is one for each.
    let mixture = directory.path("mixture")
    try MixtureModel.write(to: URL(fileURLWithPath: mixture))
    var routed = feedback
    routed.passes = [GPTQ(bits: 4, groupSize: 32)]
    let experts = try [1, 2, 8].map { ranks in
      let run = try Self.run(routed, of: mixture, to: URL(fileURLWithPath: directory.path("out")), tensorParallel: true)
      return try calibrating(#require(run.plan(for: RankLayout(ranks: ranks, nodes: ranks)).ranks)).weights
    }
    #expect(experts[1] < experts[0] * 11 / 20 && experts[2] < experts[0] / 4, "\(experts)")
    func step(_ plan: PlannedRanks, _ name: String) throws -> PlannedRanks.Step { try #require(plan.steps.first { $0.name == name }) }
    for (name, division) in [("calibration forwards", WorkDivision.outputs), ("sums of inputs (Hessians)", .sums)] {
      let (whole, part) = (try step(one, name), try step(four, name))
      #expect(part.divisions.first == division && abs(part.seconds - part.secondsAlone / 4) <= 1e-6 * part.secondsAlone, "\(name)")
      #expect(whole.seconds == whole.secondsAlone)
    }
    #expect(four.exchanges.map(\.kind) == [.sums, .weights, .layerOutputs, .scores] && one.exchanges.isEmpty)
  }

  /// Ranks of one machine share its processors: they are no faster together than one process; on machines of their own they are.
  @Test func machinesAreNotDoubledByRanks() throws {
    let processors = ProcessInfo.processInfo.activeProcessorCount
    let crowded = try plan(rounding, 4 * processors)
    #expect(crowded.threads == 1 && crowded.processors == processors)
    for step in crowded.steps where step.name == "quantize" { #expect(step.seconds >= 0.999 * step.secondsAlone) }
    let apart = try plan(rounding, 4, nodes: 4)
    for step in apart.steps where step.name == "quantize" { #expect(step.seconds < step.secondsAlone) }
    #expect(apart.ranks.map(\.node) == [0, 1, 2, 3] && apart.memoryOfMachine == apart.memory.first.peak)
    let pairs = try plan(rounding, 4, nodes: 2)
    #expect(pairs.ranks.map(\.node) == [0, 0, 1, 1] && pairs.memoryOfMachine > pairs.memory.first.peak)
  }

  /// Half the rate, twice the time; what goes to all takes a round for each doubling of those who have it.
  @Test func messagesTakeTimeByTheirRate() throws {
    let (slow, fast) = (try plan(feedback, 4, rate: 1e8), try plan(feedback, 4, rate: 2e8))
    #expect(slow.exchanges.map(\.kind) == [.layerInputs, .weights, .scores])
    for (slow, fast) in zip(slow.exchanges, fast.exchanges) {
      #expect(slow.bytes == fast.bytes && abs(slow.seconds - 2 * fast.seconds) <= 1e-9 * slow.seconds)
      if slow.recipients == .all { #expect(abs(slow.seconds - 2 * Double(slow.bytes) / 1e8) <= 1e-7) }
    }
    // What layers read goes to those alone who work on them: four take less time for it than one message to all would.
    let inputs = try #require(slow.exchanges.first)
    #expect(inputs.recipients == .readers && slow.exchanges.dropFirst().allSatisfy { $0.recipients == .all })
    #expect(inputs.seconds > 0 && inputs.seconds < Double(inputs.bytes) / 1e8)
    #expect(try [1, 2, 3, 4, 5, 64].map { try RankLayout(ranks: $0).rounds } == [0, 1, 2, 2, 3, 6])
    let assumed = try plan(feedback, 2)
    #expect(assumed.assumptions.contains { $0.contains("--link-rate") } && !slow.assumptions.contains { $0.contains("--link-rate") })
  }

  @Test func layoutsThatAreNone() {
    for (ranks, nodes, rate) in [(0, 1, nil), (2, 0, nil), (2, 3, nil), (2, 1, 0), (2, 1, Double.nan)] as [(Int, Int, Double?)] {
      let error = #expect(throws: RecipeError.self) { try RankLayout(ranks: ranks, nodes: nodes, linkRate: rate) }
      #expect(error?.kind == .usage)
    }
  }

  /// The bytes that three processes hand each other are those that were announced: beside notes, digests and the report.
  @Test func announcedBytesAreExchanged() throws {
    var short = feedback
    short.calibration = CalibrationPlan(text: "demo", samples: 40, sequenceLength: 128)
    // Rows of experts, which every token takes as many of.
    let mixture = directory.path("mixture")
    try MixtureModel.write(to: URL(fileURLWithPath: mixture))
    var routed = short
    routed.passes = [GPTQ(bits: 4, groupSize: 32)]
    for (name, model, recipe, allowance, isParallel) in [
      ("rtn", "demo", rounding, 400_000, false), ("gptq", "demo", short, 2_000_000, false), ("experts", mixture, routed, 2_000_000, false),
      ("rtn-parallel", "demo", rounding, 400_000, true), ("gptq-parallel", "demo", short, 2_000_000, true),
      ("experts-parallel", mixture, routed, 2_000_000, true),
    ] {
      let output = URL(fileURLWithPath: directory.path(name))
      let planned = try Self.run(recipe, of: model, to: output, tensorParallel: isParallel).plan(for: RankLayout(ranks: 3))
      let announced = try #require(planned.ranks).exchangedBytes
      let counter = Counter()
      _ = try LocalTransport.run(3) { group in
        let transport = try #require(group.transport)
        let counted = ProcessGroup(CountingTransport(transport, counter))
        return try Self.run(recipe, of: model, to: output, in: counted, tensorParallel: isParallel).execute()
      }
      let exchanged = counter.bytes
      #expect(exchanged >= announced, "\(name): \(exchanged) of \(announced)")
      #expect(exchanged <= announced + announced / 20 + allowance, "\(name): \(exchanged) of \(announced)")
    }
  }
}

/// Bytes that processes hand on.
private final class Counter: Sendable {
  private let sum = Mutex(0)
  var bytes: Int { sum.withLock { $0 } }
  func add(_ bytes: Int) { sum.withLock { $0 += bytes } }
}

/// Counts what this process hands on.
private final class CountingTransport: MessageTransport {
  private let transport: any MessageTransport
  private let counter: Counter

  init(_ transport: any MessageTransport, _ counter: Counter) { (self.transport, self.counter) = (transport, counter) }

  var rank: Int { transport.rank }
  var count: Int { transport.count }
  var hosts: [String] { transport.hosts }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    if root == rank { counter.add(bytes.count) }
    try transport.broadcast(bytes, from: root)
  }

  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int) throws {
    counter.add(bytes.count)
    try transport.send(bytes, to: rank)
  }

  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws { try transport.receive(bytes, from: rank) }

  func gather(_ bytes: UnsafeMutableRawBufferPointer, counts: [Int]) throws {
    counter.add(counts[rank])
    try transport.gather(bytes, counts: counts)
  }
}
