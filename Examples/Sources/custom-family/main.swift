// A family that the package does not know, with a config.json of its own words: opened, quantized and measured like any other.
//
//     swift run -c release --package-path Examples custom-family
import DeepSeekOptimize
import Foundation

struct Lantern: Architecture {
  static let modelTypes = ["lantern"]
  let tokens, positions, width, inner, depth, heads, groups: Int

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    (tokens, positions, depth) = try (reader.count("tokens"), reader.count("positions"), reader.count("depth"))
    (width, inner, heads, groups) = try (reader.count("width"), reader.count("inner"), reader.count("heads"), reader.count("groups"))
    guard width % heads == 0, heads % groups == 0 else { throw ConfigurationError("\(reader.file): heads", "do not divide the width") }
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph {
    var builder = GraphBuilder(family: "lantern", vocabularySize: tokens, maximumPositions: positions, weights: weights)
    var stream = try builder.embedding(builder.input, "model.embed_tokens", width: width)
    builder.endBlock(.embedding, "model.embed_tokens")
    for layer in 0..<depth {
      let scope = "model.layers.\(layer)"
      stream = builder.add(stream, try attention(stream, scope, &builder), scope: scope)
      let x = try builder.rmsNorm(stream, scope + ".post_attention_layernorm", epsilon: 1e-5)
      let gate = try builder.linear(x, scope + ".mlp.gate_proj", outputs: inner, role: .mlpGate)
      let up = try builder.linear(x, scope + ".mlp.up_proj", outputs: inner, role: .mlpUp)
      let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: scope + ".mlp")
      stream = builder.add(stream, try builder.linear(active, scope + ".mlp.down_proj", outputs: width, role: .mlpDown), scope: scope)
      builder.endBlock(.layer(layer), scope)
    }
    stream = try builder.rmsNorm(stream, "model.norm", epsilon: 1e-5)
    let logits = try builder.linear(stream, "lm_head", outputs: tokens, role: .languageModelHead)
    builder.endBlock(.head, "lm_head")
    return try builder.finish(output: logits)
  }

  private func attention(_ stream: ValueID, _ layer: String, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID {
    let (scope, size) = (layer + ".self_attn", width / heads)
    let x = try builder.rmsNorm(stream, layer + ".input_layernorm", epsilon: 1e-5)
    let queries = try builder.linear(x, scope + ".q_proj", outputs: width, role: .attentionQuery)
    let keys = try builder.linear(x, scope + ".k_proj", outputs: groups * size, role: .attentionKey)
    let values = try builder.linear(x, scope + ".v_proj", outputs: groups * size, role: .attentionValue)
    let mixed = builder.attention(
      queries: builder.rotary(queries, .init(heads: heads, headDimension: size), scope: scope + ".rotary.q"),
      keys: builder.rotary(keys, .init(heads: groups, headDimension: size), scope: scope + ".rotary.k"),
      values: values, .init(queryHeads: heads, keyValueHeads: groups, headDimension: size), scope: scope)
    return try builder.linear(mixed, scope + ".o_proj", outputs: width, role: .attentionOutput)
  }
}

// The demo model's weights, described in those words: the figures that its own family gives must come out, or the graph is wrong.
let model = URL.temporaryDirectory.appending(path: "lantern")
try? FileManager.default.removeItem(at: model)
try FileManager.default.copyItem(at: DemoModel.directory, to: model)
try #"{"model_type": "lantern", "tokens": 1024, "positions": 512, "width": 128, "inner": 384, "depth": 4, "heads": 4, "groups": 2}"#
  .write(to: model.appending(path: "config.json"), atomically: true, encoding: .utf8)
let report = try await Quantizer.load(model.path, families: [Lantern.self]).quantize(method: .int8)
  .save(to: .temporaryDirectory.appending(path: "lantern-int8"), overwrite: true)
let demo = try await Quantizer.load("demo").quantize(method: .int8).save(to: model.path + "-as-demo", overwrite: true)
print(ReportTable(report).text())
precondition(demo.outputs.map(\.sha256) == report.outputs.map(\.sha256), "the demo model as it is gives other bytes")
