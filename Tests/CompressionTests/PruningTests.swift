import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// Channels that are removed, against the same model with these channels set to zero.
@Suite struct PruningTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private static let fixtures: [DecoderFixture] = {
    var (biased, normed, tied) = (DecoderFixture(), DecoderFixture(), DecoderFixture())
    biased.hasBiases = true
    normed.hasHeadNorms = true
    tied.isTied = true
    return [DecoderFixture(), biased, normed, tied]
  }()

  private func dimensions(_ graph: ModelGraph, _ kind: ChannelDimension.Kind) throws -> [ChannelDimension] {
    try graph.channelDimensions().filter { $0.kind == kind }
  }

  @Test(arguments: fixtures.indices) func dimensionsFollowFromTheGraph(_ index: Int) throws {
    let fixture = Self.fixtures[index]
    let graph = try fixture.graph()
    let (mlp, heads, hidden) = (try dimensions(graph, .mlp), try dimensions(graph, .heads), try dimensions(graph, .hidden))
    #expect(mlp.count == fixture.layers && mlp.allSatisfy { $0.units == fixture.inner })
    #expect(heads.count == fixture.layers && heads.allSatisfy { $0.units == fixture.keyValueHeads })
    #expect(hidden.count == 1 && hidden[0].units == fixture.hidden && hidden[0].block == nil)
    #expect((mlp + heads).map(\.block) == [1, 2, 1, 2])
    func names(_ dimension: ChannelDimension) -> Set<String> {
      Set(dimension.members.map { "\(graph[$0.parameter].name)/\($0.axis)x\($0.unitWidth)" })
    }
    let bias = fixture.hasBiases
    #expect(
      names(mlp[0])
        == Set(
          ["layers.0.gate.weight/0x1", "layers.0.up.weight/0x1", "layers.0.down.weight/1x1"]
            + (bias ? ["layers.0.gate.bias/0x1", "layers.0.up.bias/0x1"] : [])))
    // A key and value head of 8, and the two query heads of 8 that share it.
    #expect(
      names(heads[1])
        == Set(
          ["layers.1.q.weight/0x16", "layers.1.k.weight/0x8", "layers.1.v.weight/0x8", "layers.1.o.weight/1x16"]
            + (bias ? ["layers.1.q.bias/0x16", "layers.1.k.bias/0x8", "layers.1.v.bias/0x8"] : [])))
    let residual = names(hidden[0])
    #expect(residual.contains("embed.weight/1x1") && residual.contains("norm.weight/0x1") && residual.contains("layers.1.o.weight/0x1"))
    #expect(residual.contains("layers.0.q.weight/1x1") && residual.contains(fixture.isTied ? "embed.weight/1x1" : "head.weight/1x1"))
    #expect(residual.contains("layers.0.down.bias/0x1") == bias)
  }

  /// The model with what reads some units at zero.
  private func silenced(_ graph: ModelGraph, _ dimension: ChannelDimension, keeping units: [Int]) throws -> ModelGraph {
    var result = graph
    for member in dimension.members where member.axis == 1 {
      let matrix = try Matrix(graph[member.parameter])
      for row in 0..<matrix.rows {
        for column in 0..<matrix.columns where !units.contains(column / member.unitWidth) { matrix.row(row)[column] = 0 }
      }
      try result.replace(
        member.parameter, with: .dense(Tensor((0..<matrix.rows).flatMap { matrix.values(ofRow: $0) }, shape: graph[member.parameter].shape))
      )
    }
    return result
  }

  @Test(arguments: fixtures.indices, [ChannelDimension.Kind.mlp, .heads])
  func removedChannelsAreSilentOnes(_ index: Int, _ kind: ChannelDimension.Kind) throws {
    let fixture = Self.fixtures[index]
    let graph = try fixture.graph()
    var (pruned, expected) = (graph, graph)
    var kept: [(dimension: ChannelDimension, units: [Int])] = []
    for (layer, dimension) in try dimensions(graph, kind).enumerated() {
      let units = kind == .heads ? [layer % 2] : (0..<dimension.units).filter { $0 % 3 != layer }
      kept.append((dimension, units))
      expected = try silenced(expected, dimension, keeping: units)
    }
    pruned = try pruned.keeping(kept) { SlicedWeights($0) }
    let (found, wanted) = (try fixture.logits(pruned, interpreter), try fixture.logits(expected, interpreter))
    let largest = wanted.map(abs).max() ?? 0
    #expect(zip(found, wanted).allSatisfy { abs($0 - $1) <= 2e-5 * largest })
    #expect(try fixture.logits(graph, interpreter) != wanted && pruned.parameterCount < graph.parameterCount)
  }

  @Test(arguments: [ChannelImportance.l1, .l2]) func scoresAreNormsOfWhatGoes(_ norm: ChannelImportance) throws {
    let graph = try DecoderFixture().graph()
    for dimension in try graph.channelDimensions() {
      var expected = [Double](repeating: 0, count: dimension.units)
      for member in dimension.members where graph[member.parameter].shape.rank == 2 {
        let matrix = try Matrix(graph[member.parameter])
        for row in 0..<matrix.rows {
          for column in 0..<matrix.columns {
            let value = Double(matrix.row(row)[column])
            expected[(member.axis == 0 ? row : column) / member.unitWidth] += norm == .l1 ? abs(value) : value * value
          }
        }
      }
      let scores = try norm.scores(of: dimension, in: graph, pool: interpreter.pool)
      #expect(zip(scores, expected).allSatisfy { abs($0 - $1) <= 1e-9 * $1 })
    }
  }

  @Test func theLeastGo() throws {
    let graph = try DecoderFixture().graph()
    let pruning = StructuredPruning(mlp: 0.5, multiple: 4)
    let pruned = try pruning.applied(to: graph, pool: interpreter.pool)
    for dimension in try dimensions(graph, .mlp) {
      let scores = try ChannelImportance.l1.scores(of: dimension, in: graph, pool: interpreter.pool)
      let kept = Set(StructuredPruning.largest(20, of: scores))
      let least = scores.indices.filter { !kept.contains($0) }.map { scores[$0] }.max() ?? 0
      #expect(kept.count == 20 && kept.allSatisfy { scores[$0] >= least })
    }
    #expect(try dimensions(pruned, .mlp).allSatisfy { $0.units == 20 })
    #expect(StructuredPruning.largest(2, of: [1, 3, 3, 3]) == [1, 2])
  }

  /// A layer that adds nothing can go: the others compute what they did, under the first names.
  @Test(arguments: [0, 1]) func layersThatAddNothingCanGo(_ layer: Int) throws {
    let fixture = DecoderFixture()
    var graph = try fixture.graph()
    for id in graph.parameterIDs where ["layers.\(layer).o.weight", "layers.\(layer).down.weight"].contains(graph[id].name) {
      try graph.replace(id, with: .dense(Tensor([Float](repeating: 0, count: graph[id].shape.elementCount), shape: graph[id].shape)))
    }
    #expect(graph.layerBlocks == [1, 2])
    let influences = try LayerInfluence.measure(
      graph, windows: fixture.windows, interpreter: interpreter, memoryLimit: 1 << 30, spillingTo: FileManager.default.temporaryDirectory
    ) { _, _ in }
    #expect(influences.count == 2 && abs(influences[layer + 1] ?? 1) < 1e-6 && influences[2 - layer] ?? 0 > 1e-3)
    let (pruned, removed) = try StructuredPruning(layers: 1).withoutLayers(graph, influences: influences)
    #expect(removed == [layer + 1] && pruned.blocks.map(\.name) == ["embed", "layers.0", "head"])
    #expect(pruned.parameters.allSatisfy { !$0.name.hasPrefix("layers.1") } && pruned.nodes.allSatisfy { !$0.scope.hasPrefix("layers.1") })
    let (found, wanted) = (try fixture.logits(pruned, interpreter), try fixture.logits(graph, interpreter))
    #expect(found == wanted)
    #expect(throws: GraphError.self) { try graph.removingLayers([1, 2]) { RenamedWeights($0) } }
    #expect(throws: GraphError.self) { try graph.removingLayers([0]) { RenamedWeights($0) } }
  }

  @Test func sizesAreMultiples() throws {
    let graph = try DecoderFixture().graph()
    func kept(_ pruning: StructuredPruning) throws -> [ChannelDimension.Kind: Int] {
      Dictionary(try pruning.sizes(of: graph).map { ($0.dimension.kind, $0.kept) }, uniquingKeysWith: { first, _ in first })
    }
    #expect(try kept(StructuredPruning(mlp: 0.3, heads: 0.5, hidden: 0.3, multiple: 8)) == [.mlp: 32, .heads: 1, .hidden: 32])
    #expect(try kept(StructuredPruning(mlp: 0.3, multiple: 1)) == [.mlp: 28])
    // More than half of what there is: no multiple to keep to.
    #expect(try kept(StructuredPruning(mlp: 0.3, multiple: 64)) == [.mlp: 28])
    // So little that nothing goes, and so much that one step stays.
    #expect(try kept(StructuredPruning(mlp: 0.05, multiple: 8)).isEmpty)
    #expect(try kept(StructuredPruning(mlp: 0.999, heads: 0.9, multiple: 8)) == [.mlp: 8, .heads: 1])
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    let graph = try DecoderFixture().graph()
    for pruning in [
      StructuredPruning(), StructuredPruning(mlp: 1), StructuredPruning(heads: -0.1), StructuredPruning(hidden: .nan),
      StructuredPruning(layers: 2), StructuredPruning(layers: -1),
      StructuredPruning(mlp: 0.5, multiple: 0),
    ] {
      #expect(throws: CompressionError.self) { try pruning.applied(to: graph, pool: interpreter.pool) }
    }
    let quantized = try DecoderFixture().compressed([RoundToNearest(bits: 8)], interpreter).graph
    #expect(throws: CompressionError.self) { try StructuredPruning(mlp: 0.5).applied(to: quantized, pool: interpreter.pool) }
    let dimension = try dimensions(graph, .mlp)[0]
    for units in [[], [3, 1], [1, 1], [40], [-1]] {
      #expect(throws: GraphError.self) { try graph.keeping([(dimension, units)]) { SlicedWeights($0) } }
    }
  }
}

extension StructuredPruning {
  /// What a run does, block by block, without text.
  fileprivate func applied(to graph: ModelGraph, pool: ThreadPool) throws -> ModelGraph {
    try validate(for: graph)
    var result = try withoutHidden(graph, pool: pool)
    for index in result.blocks.indices { _ = try prune(index, of: &result, calibration: { nil }, pool: pool) }
    return result
  }
}
