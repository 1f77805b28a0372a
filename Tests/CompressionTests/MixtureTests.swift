import CKernels
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// Experts under calibration and quantization: those that few tokens come to, and those that none does.
@Suite struct MixtureTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))
  private let fixture = MixtureFixture()

  private func calibration(_ graph: ModelGraph, block: Int) throws -> BlockCalibration {
    let stream = try CalibrationStream(
      windows: fixture.windows, of: graph, interpreter: interpreter, needs: [.calibration],
      spillingTo: FileManager.default.temporaryDirectory, batchRows: 64)
    for index in 0..<block { try stream.advance(past: graph.blocks[index], in: graph) }
    return try #require(stream.calibration(for: graph.blocks[block], at: block, sensitivity: nil))
  }

  private static let passes: [any CompressionPass] = {
    var gptq = GPTQ(bits: 4, groupSize: 0)
    gptq.damping = 0.05
    var sensitive = GPTQ(bits: 3, groupSize: 0, outputSensitivity: true)
    sensitive.damping = 0.05
    var trained = AutoRound()
    trained.targets = gptq.targets
    trained.iterations = 4
    var aware = ActivationAware()
    aware.targets = gptq.targets
    return [ImportanceMatrix(bits: 4, groupSize: 0), gptq, sensitive, trained, aware]
  }()

  /// Experts that are read when rows come to them, and let go behind them, compute what those do that stay; so do their quantized forms.
  @Test func expertsThatAreReadOnUseComputeTheSame() throws {
    let source = try fixture.graph()
    let (quantized, _) = try DecoderFixture.compressed([RoundToNearest(bits: 4)], source, fixture.windows, interpreter)
    for graph in [source, quantized] {
      var states: [Matrix] = []
      for policy in [LoadedBlock.ExpertPolicy.kept, .readOnUse(beyond: 0)] {
        var state = Matrix(rows: 0, columns: 0)
        let layout = SequenceLayout(lengths: fixture.windows.map(\.count))
        for (index, block) in graph.body.enumerated() {
          let weights = try LoadedBlock(block, of: graph, experts: policy)
          state =
            index == 0
            ? try interpreter.run(block, of: graph, weights: weights, tokens: Array(fixture.windows.joined()), sequences: layout)
            : try interpreter.run(block, of: graph, weights: weights, input: state, sequences: layout)
        }
        states.append(state)
      }
      #expect((0..<states[0].rows).allSatisfy { states[0].values(ofRow: $0) == states[1].values(ofRow: $0) })
      let sparse = graph.blocks[2]
      #expect(
        graph.passesExperts(of: sparse, beyond: 0) && !graph.passesExperts(of: sparse)
          && !graph.passesExperts(of: graph.blocks[1], beyond: 0))
    }
  }

  /// What a block is said to hold while it runs covers its widest place, and grows with its rows.
  @Test func activationsAreCountedByTheirLives() throws {
    let graph = try fixture.graph()
    for block in graph.body.dropFirst() {
      let one = graph.activationBytes(of: block, rows: 64)
      let widest = graph.nodes[block.nodes].compactMap { graph[$0.output].width }.max() ?? 0
      // Rows that experts share are counted up to whole ones.
      let two = graph.activationBytes(of: block, rows: 128)
      #expect(one >= 64 * (widest + fixture.hidden) * 4 && two > one && two <= 2 * one)
      let all = graph.nodes[block.nodes].reduce(0) { $0 + 64 * (graph[$1.output].width ?? 0) * 4 }
      #expect(one < all)
    }
  }

  /// Every expert is quantized and says how many tokens came to it; the one that none came to says what was done instead.
  @Test(arguments: passes.indices) func noExpertIsLeftOut(_ index: Int) throws {
    let source = try fixture.graph()
    let (graph, records) = try DecoderFixture.compressed([Self.passes[index]], source, fixture.windows, interpreter)
    let layers = Dictionary(records.flatMap(\.layers).map { ($0.module, $0) }) { first, _ in first }
    let tokens = fixture.windows.reduce(0) { $0 + $1.count }
    for router in graph.routers {
      var sum = 0
      for expert in 0..<router.routing.experts {
        for part in ["gate", "up", "down"] {
          let module = "\(graph.blocks[router.block].name).experts.\(expert).\(part)"
          let layer = try #require(layers[module])
          let count = try #require(layer.calibrationTokens)
          if part == "gate" { sum += count }
          #expect((count == 0) == (expert == fixture.unchosen), "\(module): \(count)")
          if count == 0 { #expect(layer.fallback?.isEmpty == false, "\(module)") }
        }
      }
      #expect(sum == tokens * router.routing.selected)
    }
    for (node, weight) in graph.blocks.flatMap({ graph.linears(of: $0) }) {
      #expect(graph[weight].isQuantized == (graph[weight].role != .router && graph[weight].role != .languageModelHead), "\(node.scope)")
    }
    // Four bits, or three, and tokens that go to other experts than before: what comes out is still near.
    let (before, after) = (try fixture.logits(source, interpreter), try fixture.logits(graph, interpreter))
    let error = zip(before, after).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / before.reduce(0) { $0 + $1 * $1 }
    #expect(error < 0.6, "\(error)")
  }

  /// The Gram matrix of an expert, found after the forward, is that of the rows that it sees.
  @Test func gramMatricesAreThoseOfTheRowsThatAnExpertSees() throws {
    let graph = try fixture.graph()
    let calibration = try calibration(graph, block: 2)
    let statistics = try calibration.statistics([.gram, .columns], in: graph)
    var expected: [ValueID: GramMatrix] = [:]
    try calibration.forward(in: graph) { _, run in
      let value = run.node.inputs[0]
      guard graph[value].route != nil, run.node.scope.hasSuffix(".gate") || run.node.scope.hasSuffix(".down") else { return }
      let gram = expected[value] ?? GramMatrix(inputs: run.input.columns)
      try gram.accumulate(run.input, pool: interpreter.pool)
      expected[value] = gram
    }
    #expect(expected.count == 2 * fixture.routing.experts)
    let router = try #require(graph.linears(of: graph.blocks[2]).first { graph[$0.weight].role == .router }?.node)
    let whole = try #require(try statistics[router.inputs[0]]?.gram(pool: interpreter.pool))
    for (value, gram) in expected {
      let found = try #require(statistics[value])
      let (tokens, width) = (gram.tokens, gram.inputs)
      #expect(found.tokens == tokens)
      let isEntrance = graph.source(ofRows: value) != value
      if tokens < 2 * width {
        if isEntrance {
          gram.add(whole, times: Float(Double(width) / whole.totalWeight))
        } else if tokens > 0 {
          gram.shrinkToDiagonal(by: Float(tokens) / Float(tokens + width))
        }
        #expect((found.shortage == nil) == (tokens == 0 && !isEntrance))
      } else {
        #expect(found.shortage == nil)
      }
      let (ours, theirs) = (try #require(try found.gram(pool: interpreter.pool)), gram)
      let (a, b) = (ours.symmetric(pool: interpreter.pool), theirs.symmetric(pool: interpreter.pool))
      let size = (0..<b.rows * b.columns).map { abs(b.pointer[$0]) }.max() ?? 0
      let difference = (0..<b.rows * b.columns).map { abs(a.pointer[$0] - b.pointer[$0]) }.max() ?? 0
      #expect(difference <= 1e-5 * max(size, 1e-3), "\(value): \(difference) of \(size)")
      #expect(ours.totalWeight == theirs.totalWeight)
    }
  }

  /// An expert that no token goes to can go without a trace; the others keep their weights under new names.
  @Test func expertsGoWithTheirPlaceInTheRouter() throws {
    let source = try fixture.graph()
    let kept = Dictionary(uniqueKeysWithValues: source.routers.map { ($0.output, [0, 1, 2, 4, 5]) })
    let graph = try source.keepingExperts(kept, readFrom: { RenamedWeights($0) }, sliced: { SlicedWeights($0) })
    #expect(graph.routers.map(\.routing.experts) == [5, 5])
    #expect(try fixture.logits(graph, interpreter) == fixture.logits(source, interpreter))
    let perExpert = 3 * fixture.hidden * fixture.channels + fixture.hidden + 1
    #expect(graph.parameterCount == source.parameterCount - 2 * perExpert)
    let names = Set(graph.parameters.map(\.name))
    #expect(names.contains("layers.1.experts.4.up.weight") && !names.contains { $0.contains("experts.5.") })
    let (moved, origin) = (
      try #require(graph.parameters.first { $0.name == "layers.2.experts.3.up.weight" }),
      try #require(source.parameters.first { $0.name == "layers.2.experts.4.up.weight" })
    )
    #expect(try moved.load().float32()?.float32Values() == origin.load().float32()?.float32Values())
    // Groups must stay equal, and there must be some left.
    var grouped = fixture
    grouped.routing = Routing(
      experts: 6, selected: 2, scoring: .sigmoid, groups: .init(count: 3, kept: 2, rank: .bestTwo), normalized: true)
    grouped.unchosen = nil
    let other = try grouped.graph()
    for wrong in [[0, 1, 2], [], [0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 6]] {
      let kept = Dictionary(uniqueKeysWithValues: other.routers.map { ($0.output, wrong) })
      #expect(throws: GraphError.self) { try other.keepingExperts(kept, readFrom: { RenamedWeights($0) }, sliced: { SlicedWeights($0) }) }
    }
  }

  /// The dimensions of latent attention and of experts, and what is left of a model when a part of each goes.
  @Test func latentsAndExpertsAreDimensions() throws {
    let graph = try fixture.graph()
    let dimensions = try graph.channelDimensions()
    func names(_ dimension: ChannelDimension) -> Set<String> {
      Set(dimension.members.map { "\(graph[$0.parameter].name)/\($0.axis)x\($0.unitWidth)" })
    }
    let latents = dimensions.filter { $0.kind == .latent && $0.block == 2 }
    #expect(latents.map(\.units).sorted() == [16, 24])
    #expect(
      latents.contains { names($0) == ["layers.1.qa.weight/0x1", "layers.1.qnorm.weight/0x1", "layers.1.qb.weight/1x1"] })
    #expect(
      latents.contains { names($0) == ["layers.1.kva.weight/0x1", "layers.1.kvnorm.weight/0x1", "layers.1.kvb.weight/1x1"] })
    let heads = try #require(dimensions.first { $0.kind == .heads && $0.block == 2 })
    #expect(heads.units == 4)
    #expect(names(heads) == ["layers.1.qb.weight/0x12", "layers.1.kvb.weight/0x14", "layers.1.o.weight/1x6"])
    #expect(dimensions.count { $0.kind == .mlp && $0.block == 2 } == fixture.routing.experts + 1)

    let pruning = StructuredPruning(mlp: 0.5, heads: 0.5, hidden: 0.25, multiple: 2)
    var all = pruning
    (all.ranks, all.experts) = (0.25, 0.3)
    try all.validate(for: graph)
    let smaller = try all.resized(graph)
    func shape(_ name: String) -> [Int] { smaller.parameters.first { $0.name == name }?.shape.dimensions ?? [] }
    #expect(shape("layers.1.qa.weight") == [18, 36] && shape("layers.1.qb.weight") == [2 * 12, 18])
    // The rows of the rotary key stay behind those of the latent.
    #expect(shape("layers.1.kva.weight") == [12 + 4, 36] && shape("layers.1.kvb.weight") == [2 * 14, 12])
    #expect(shape("layers.1.router.weight") == [4, 36] && shape("layers.1.correction") == [4])
    #expect(shape("layers.2.experts.3.down.weight") == [36, 10] && shape("layers.2.shared.up.weight") == [10, 36])
    #expect(try fixture.logits(smaller, interpreter).allSatisfy(\.isFinite))
  }

  /// Smoothing folds one factor into everything that reads a norm: the router, the experts and the shared one.
  @Test func smoothingReachesEveryReaderOfANorm() throws {
    let source = try fixture.graph()
    let (graph, records) = try DecoderFixture.compressed([SmoothQuant(alpha: 0.5)], source, fixture.windows, interpreter)
    let rescaled = Set(records.flatMap(\.rescaled))
    for name in ["layers.1.router", "layers.1.experts.3.gate", "layers.1.shared.up", "layers.2.experts.0.down"] {
      #expect(rescaled.contains(name), "\(name)")
    }
    let (before, after) = (try fixture.logits(source, interpreter), try fixture.logits(graph, interpreter))
    #expect(zip(before, after).allSatisfy { abs($0 - $1) < 1e-3 })
  }

  /// What all tokens use has more bits than what few use; a model without experts is refused.
  @Test func bitsGoByRole() throws {
    let graph = try fixture.graph()
    var targets = QuantizationTargets()
    (targets.bits, targets.mixedPrecision) = (4, .roles)
    let schemes = try targets.schemes(for: graph)
    for (id, scheme) in schemes { #expect(scheme.bits == (graph[id].role.isRoutedExpert ? 4 : 6), "\(graph[id].name)") }
    #expect(!schemes.keys.contains { graph[$0].role == .router })
    #expect(throws: CompressionError.self) { try targets.schemes(for: DecoderFixture().graph()) }
    targets.bits = 8
    #expect(throws: CompressionError.self) { try targets.schemes(for: graph) }
  }
}
