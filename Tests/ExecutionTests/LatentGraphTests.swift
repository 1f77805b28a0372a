import Execution
import Foundation
import ModelGraph
import Testing

/// What a graph with latent attention becomes where it decodes.
@Suite struct LatentGraphTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private func operations(_ graph: ModelGraph) -> [String: Int] { graph.nodes.reduce(into: [:]) { $0[$1.operation.name, default: 0] += 1 } }

  /// One operation takes the place of five in every layer; what it needs stays, under the ids that it had.
  @Test(arguments: LatentAttentionTests.models) func oneOperationTakesThePlaceOfFive(_ name: String) throws {
    let graph = try GoldenModel(name).graph
    let decoding = graph.absorbingLatentAttention()
    try decoding.verify()
    let (before, after) = (operations(graph), operations(decoding))
    #expect(after["latentAttention"] == 2 && after["attention"] == nil && after["joinHeads"] == nil)
    #expect(before["linear"] == (after["linear"] ?? 0) + 2 && before["slice"] == (after["slice"] ?? 0) + 4)
    #expect(graph.blocks.map(\.name) == decoding.blocks.map(\.name) && graph.parameterCount == decoding.parameterCount)
    #expect(graph.parametersByBlock.map(Set.init) == decoding.parametersByBlock.map(Set.init))
    #expect(decoding.description.contains("latentAttention("))
    #expect(decoding.description.contains("{heads 2 of 6 + 4, values of 5, rank 8, scale "))
    #expect(decoding.absorbingLatentAttention().description == decoding.description)
  }

  /// Without a cache it computes what it did.
  @Test func aForwardIsTheSame() throws {
    let model = try GoldenModel("deepseek-v3")
    let windows = try model.integers("input_ids")
    let expected = try GoldenModel.logits(model.graph, windows: windows, interpreter: interpreter)
    let found = try GoldenModel.logits(model.graph.absorbingLatentAttention(), windows: windows, interpreter: interpreter)
    #expect((0..<found.rows * found.columns).allSatisfy { abs(found.pointer[$0] - expected.pointer[$0]) <= 1e-5 })
  }

  @Test(arguments: ["llama-gqa", "mistral-window", "qwen3", "mixtral"]) func otherModelsStayAsTheyAre(_ name: String) throws {
    let graph = try GoldenModel(name).graph
    #expect(graph.absorbingLatentAttention().description == graph.description)
  }

  /// What reads more of the expanded keys than attention does needs them: an adapter, or a choice of blocks by their means.
  @Test func whatNeedsKeysKeepsThem() throws {
    let adapted = try LatentAttentionTests.Layer(isAdapted: true).graph()
    #expect(adapted.absorbingLatentAttention().description == adapted.description)
    let choosing = try GoldenModel("deepseek-v3").graph.replacingOperations { layer, operation in
      guard layer == 1, case .attention(var attention) = operation else { return operation }
      attention.reach = .blocks(.init(block: 4, count: 3))
      return .attention(attention)
    }
    let decoding = choosing.absorbingLatentAttention()
    #expect(operations(decoding)["latentAttention"] == 1 && operations(decoding)["attention"] == 1)
    // One layer of latents, one of two heads with keys of 10 features and values of 5.
    #expect(KeyValueQuantization.none.bytesPerToken(of: choosing) == (8 + 4 + 2 * (10 + 5)) * 4)
  }

  /// Nothing that changes a model, or trains it, takes the form that decodes.
  @Test func itIsForRunningOnly() throws {
    let graph = try LatentAttentionTests.Layer().graph().absorbingLatentAttention()
    #expect(throws: GraphError.self) { try graph.channelDimensions() }
    let block = graph.blocks[1]
    let weights = try LoadedBlock(block, of: graph)
    let input = Matrix(rows: 3, columns: 16)
    let tape = try interpreter.runRecording(block, of: graph, weights: weights, input: input, sequences: SequenceLayout(lengths: [3]))
    #expect(throws: ExecutionError.self) {
      try interpreter.backward(tape, outputGradient: Matrix(rows: 3, columns: 16), wanting: [], inputGradient: true)
    }
  }
}
