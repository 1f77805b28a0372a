import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

@Suite struct ModuleReplacementTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private func replacement(_ change: (inout ModuleReplacement) -> Void) -> ModuleReplacement {
    var replacement = ModuleReplacement()
    change(&replacement)
    return replacement
  }

  // MARK: Matching and clustering

  /// Against every permutation of small matrices, and one whose greedy choice is wrong.
  @Test func assignmentsAreTheBest() {
    func permutations(_ count: Int) -> [[Int]] {
      count == 0
        ? [[]]
        : permutations(count - 1).flatMap { rest in
          (0..<count).map { place in
            var all = rest
            all.insert(count - 1, at: place)
            return all
          }
        }
    }
    for seed in 0..<20 {
      let count = 1 + seed % 6
      let scores = (0..<count * count).map { Float(SeededRandom.value(seed: UInt64(seed), index: UInt64($0)) % 1000) / 100 - 5 }
      func sum(_ columns: [Int]) -> Float { columns.enumerated().reduce(0) { $0 + scores[$1.offset * count + $1.element] } }
      let found = Assignment.best(count) { scores[$0 * count + $1] }
      #expect(Set(found) == Set(0..<count))
      #expect(abs(sum(found) - (permutations(count).map(sum).max() ?? 0)) < 1e-4)
    }
    #expect(Assignment.best(2) { [[10, 9], [9, 0]][$0][$1] } == [1, 0])
    #expect(Assignment.best(0) { _, _ in 0 }.isEmpty)
  }

  /// Two pairs that lie together, by hand: the one that more tokens go to leads, and gives as much of the average.
  @Test func nearExpertsComeTogether() {
    let routing = Routing(experts: 4, selected: 1, normalized: true)
    let traits = ExpertTraits(features: [[0, 0], [5, 5], [0, 1], [5, 4]], tokens: [30, 0, 10, 0])
    #expect(
      ExpertClusters.clusters(of: traits, routing, count: 2) == [
        ExpertCluster(members: [0, 2], dominant: 0, shares: [0.75, 0.25]),
        ExpertCluster(members: [1, 3], dominant: 1, shares: [0.5, 0.5]),
      ])
    // Groups keep to themselves.
    var grouped = routing
    grouped.groups = .init(count: 2, kept: 2, rank: .best)
    #expect(ExpertClusters.clusters(of: traits, grouped, count: 2).map(\.members) == [[0, 1], [2, 3]])
  }

  // MARK: Merging

  /// A model whose experts of a layer are all the same function: their channels in other orders.
  private func alike(_ fixture: MixtureFixture) throws -> ModelGraph {
    var graph = try fixture.graph()
    for router in graph.routers {
      let scope = graph.blocks[router.block].name
      func id(_ expert: Int, _ part: String) -> ParameterID? {
        graph.parameterIDs.first { graph[$0].name == "\(scope).experts.\(expert).\(part).weight" }
      }
      for expert in 1..<router.routing.experts {
        let order = (0..<fixture.channels).map { ($0 * 7 + expert) % fixture.channels }
        for part in ["gate", "up", "down"] {
          let first = try Matrix(graph[try #require(id(0, part))])
          let result = Matrix(rows: first.rows, columns: first.columns)
          for row in 0..<first.rows {
            for column in 0..<first.columns {
              result.row(row)[column] = part == "down" ? first.row(row)[order[column]] : first.row(order[row])[column]
            }
          }
          let target = try #require(id(expert, part))
          try graph.replace(target, with: .dense(Tensor((0..<first.rows).flatMap { result.values(ofRow: $0) }, shape: graph[target].shape)))
        }
      }
    }
    return graph
  }

  /// Experts that compute the same are one whatever their channels' order: logits stay.
  @Test(arguments: [false, true]) func equalExpertsMergeIntoTheSame(_ isCalibrated: Bool) throws {
    var fixture = MixtureFixture()
    fixture.unchosen = nil
    let graph = try alike(fixture)
    let pass = replacement { $0.mergeExperts = 2 }
    let traits =
      isCalibrated
      ? try ExpertTraits.measure(
        graph, windows: fixture.windows, interpreter: interpreter, memoryLimit: 1 << 20,
        spillingTo: FileManager.default.temporaryDirectory, progress: { _, _ in }) : try ExpertTraits.ofRouters(graph)
    let merged = try pass.mergingExperts(graph, traits: traits, pool: interpreter.pool).graph
    #expect(merged.routers.allSatisfy { $0.routing.experts == 2 } && merged.parameterCount < graph.parameterCount)
    let (before, after) = (try fixture.logits(graph, interpreter), try fixture.logits(merged, interpreter))
    let largest = before.map(abs).max() ?? 0
    #expect(zip(before, after).allSatisfy { abs($0 - $1) <= 2e-6 * largest })
  }

  /// The averages are those of the members by their shares, for any number of threads.
  @Test func threadsGiveTheSameExperts() throws {
    let fixture = MixtureFixture()
    let graph = try fixture.graph()
    let pass = replacement { $0.mergeExperts = 3 }
    func weights(_ threads: Int) throws -> [Float] {
      let interpreter = Interpreter(pool: ThreadPool(threads: threads))
      let traits = try ExpertTraits.measure(
        graph, windows: fixture.windows, interpreter: interpreter, memoryLimit: 1 << 20,
        spillingTo: FileManager.default.temporaryDirectory, progress: { _, _ in })
      let merged = try pass.mergingExperts(graph, traits: traits, pool: interpreter.pool).graph
      return try merged.parameterIDs.flatMap { id in
        let matrix = try Matrix(merged[id])
        return (0..<matrix.rows).flatMap { matrix.values(ofRow: $0) }
      }
    }
    let (one, three) = (try weights(1), try weights(3))
    #expect(one == three)
  }

  // MARK: Norms

  /// Layer norms in the place of RMS norms keep gains and begin with biases of 0; dynamic tanh that is fitted is nearer than one that is not.
  @Test func normsAreReplaced() throws {
    let fixture = DecoderFixture()
    var graph = try fixture.graph()
    let source = graph
    try replacement { $0.normalization = .layerNorm }.replaceNorms(of: &graph)
    #expect(graph.streamNormalizations == [.layerNorm] && graph.parameters.count { $0.name.hasSuffix("norm1.bias") } == fixture.layers)
    let tanh = try DynamicTanhFit.fitted(
      source, windows: fixture.windows, interpreter: interpreter, memoryLimit: 1 << 20,
      spillingTo: FileManager.default.temporaryDirectory, progress: { _, _ in })
    #expect(tanh.streamNormalizations == [.dynamicTanh])
    var plain = source
    try replacement { $0.normalization = .dynamicTanh }.replaceNorms(of: &plain)
    let logits = try [source, graph, tanh, plain].map { try fixture.logits($0, interpreter) }
    func distance(_ index: Int) -> Double { zip(logits[0], logits[index]).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) } }
    #expect((1...3).allSatisfy { distance($0).isFinite && distance($0) > 0 })
    #expect(distance(2) < 0.7 * distance(3), "\(distance(2)) fitted, \(distance(3)) not")
  }

  // MARK: Refusals

  @Test(
    arguments: [
      { _ in }, { $0.attention = .slidingWindow }, { ($0.attention, $0.window) = (.slidingWindow, -3) }, { $0.window = 4 },
      { ($0.attention, $0.tokens) = (.topTokens, 0) }, { ($0.attention, $0.tokens, $0.block) = (.topTokens, 33, 32) },
      { ($0.attention, $0.tokens, $0.block) = (.topTokens, 32, 0) }, { ($0.attention, $0.window, $0.layers) = (.slidingWindow, 4, "0-9") },
      { ($0.attention, $0.window, $0.layers) = (.slidingWindow, 4, "x") }, { $0.layers = "0" }, { $0.attention = .global },
      { $0.activation = .silu }, { $0.mergeExperts = 2 }, { $0.mergeExperts = -1 },
    ] as [@Sendable (inout ModuleReplacement) -> Void])
  func whatCannotBeIsRefused(_ change: @Sendable (inout ModuleReplacement) -> Void) throws {
    let graph = try DecoderFixture().graph()
    let error = #expect(throws: CompressionError.self) { try replacement(change).validate(for: graph) }
    #expect(error?.kind == .usage)
  }

  @Test func mixturesRefuseWhatTheirTokensNeed() throws {
    var fixture = MixtureFixture()
    fixture.routing.groups = .init(count: 2, kept: 1, rank: .best)
    let graph = try fixture.graph()
    for count in [1, 2, 3, 6, 7] {
      #expect(throws: CompressionError.self, "\(count)") { try replacement { $0.mergeExperts = count }.validate(for: graph) }
    }
    try replacement { $0.mergeExperts = 4 }.validate(for: graph)
  }
}
