import Diagnostics
import ModelGraph
import Tensors
import Testing

/// Weights that exist only by name and shape, all zero.
struct ShapesOnly: WeightSource {
  var shapes: [String: Shape]
  var type = DataType.float32
  var names: [String] { shapes.keys.sorted() }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(type)) } }
  func load(_ name: String) throws -> Weight {
    .dense(Tensor(dataType: type, shape: shapes[name] ?? [0]) { _ in })
  }
}

@Suite struct GraphTests {
  /// Embedding, one gated layer, head: enough of a model to break in every way.
  private func build(_ shapes: [String: Shape], tied: Bool = false) throws -> ModelGraph {
    var builder = GraphBuilder(family: "toy", vocabularySize: 10, maximumPositions: 8, weights: ShapesOnly(shapes: shapes))
    var hidden = try builder.embedding(builder.input, "embed", width: 4)
    builder.endBlock(.embedding, "embed")
    let gate = try builder.linear(hidden, "layer.gate", outputs: 6, role: .mlpGate)
    let up = try builder.linear(hidden, "layer.up", outputs: 6, role: .mlpUp, bias: true)
    let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: "layer")
    let down = try builder.linear(active, "layer.down", outputs: 4, role: .mlpDown)
    hidden = builder.add(hidden, down, scope: "layer")
    builder.endBlock(.layer(0), "layer")
    let logits =
      tied
      ? try builder.linear(hidden, "head", outputs: 10, tiedTo: "embed.weight")
      : try builder.linear(hidden, "head", outputs: 10, role: .languageModelHead)
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  private let shapes: [String: Shape] = [
    "embed.weight": [10, 4], "layer.gate.weight": [6, 4], "layer.up.weight": [6, 4], "layer.up.bias": [6], "layer.down.weight": [4, 6],
    "head.weight": [10, 4],
  ]

  @Test func aGoodGraphVerifiesAndCounts() throws {
    let graph = try build(shapes)
    #expect(graph.parameterCount == 40 + 24 + 24 + 6 + 24 + 40)
    #expect(graph.blocks.map(\.name) == ["embed", "layer", "head"])
    #expect(graph.linears(of: graph.blocks[1]).map(\.node.scope) == ["layer.gate", "layer.up", "layer.down"])
  }

  @Test func aTiedHeadSharesTheParameter() throws {
    let graph = try build(shapes.filter { $0.key != "head.weight" }, tied: true)
    let head = try #require(graph.linears(of: graph.blocks[2]).first)
    #expect(graph.sharedParameters == [head.weight])
    #expect(graph.parameterCount == 40 + 24 + 24 + 6 + 24)
    #expect(graph.parameters(of: graph.blocks[2]).isEmpty)
  }

  @Test(arguments: ["embed.weight", "layer.up.bias", "layer.down.weight", "head.weight"])
  func aMissingTensorIsNamed(_ name: String) throws {
    let error = try #require(throws: GraphError.self) { try build(shapes.filter { $0.key != name }) }
    #expect(error.subject == name)
    #expect(error.kind == .badData)
  }

  @Test func aMisshapenTensorIsNamedWithBothShapes() throws {
    var wrong = shapes
    wrong["layer.up.weight"] = [6, 5]
    let error = try #require(throws: GraphError.self) { try build(wrong) }
    #expect(error.subject == "layer.up.weight")
    #expect(error.problem.contains("[6, 5]") && error.problem.contains("[6, 4]"))
  }

  @Test func integersAreNotWeights() throws {
    var builder = GraphBuilder(
      family: "toy", vocabularySize: 10, maximumPositions: 8, weights: ShapesOnly(shapes: shapes, type: .int32))
    #expect(throws: GraphError.self) { try builder.embedding(builder.input, "embed", width: 4) }
  }

  /// A block may start from nothing but the value before it.
  @Test func valuesDoNotLeakAcrossBlocks() throws {
    var builder = GraphBuilder(family: "toy", vocabularySize: 10, maximumPositions: 8, weights: ShapesOnly(shapes: shapes))
    let embedded = try builder.embedding(builder.input, "embed", width: 4)
    let gate = try builder.linear(embedded, "layer.gate", outputs: 6, role: .mlpGate)
    builder.endBlock(.embedding, "embed")
    let down = try builder.linear(gate, "layer.down", outputs: 4, role: .mlpDown)
    let sum = builder.add(embedded, down, scope: "layer")
    builder.endBlock(.layer(0), "layer")
    let logits = try builder.linear(sum, "head", outputs: 10, role: .languageModelHead)
    builder.endBlock(.head, "head")
    #expect(throws: GraphError.self) { try builder.finish(output: logits) }
  }

  @Test func replacingKeepsTheShape() throws {
    var graph = try build(shapes)
    let weight = graph.linears(of: graph.blocks[1])[0].weight
    #expect(throws: GraphError.self) { try graph.replace(weight, with: .dense(Tensor([1, 2], shape: [2]))) }
    try graph.replace(weight, with: .dense(Tensor([Float](repeating: 1, count: 24), shape: [6, 4])))
    #expect(try graph[weight].load().float32()?.float32Values() == [Float](repeating: 1, count: 24))
    graph.release(weight)
    #expect(graph[weight].weightStorage == .dense(.float32))
    #expect(throws: GraphError.self) { try graph[weight].load() }
  }

  @Test func theListingNamesEveryNode() throws {
    let text = try build(shapes).description
    #expect(text.split(separator: "\n").count == 1 + 3 + 7 + 1)
    #expect(text.contains("linear(%1) @layer.up.weight<mlpUp [6, 4] F32> @layer.up.bias<bias [6] F32>"))
  }
}
