import Architectures
import Diagnostics
import Foundation
import ModelGraph
import StructuredData
import Tensors
import Testing

@testable import Formats

/// Out and in again is the same model: the project's families make the same graph of it.
@Suite struct GGUFArchitectureRoundTripTests {
  /// What a file is: its readers approximate an encoder's gelu, whatever the model has.
  private func asRead(_ configuration: JSONValue) -> JSONValue {
    guard var object = configuration.object, object["model_type"] == "bert" else { return configuration }
    object["hidden_act"] = "gelu_pytorch_tanh"
    return .object(object)
  }

  /// Checks that what is read again computes the same, name by name and operation by operation.
  private func expectSameModel(_ configuration: JSONValue, _ parameters: [String: [Int]]) throws {
    let model = try GGUFModel(configuration: configuration)
    let tensors = try tensors(of: model, parameters)
    let again = try read(model, tensors)
    var restored: [String: [Int]] = [:]
    for (name, shape) in tensors {
      for origin in try again.origins(of: name) {
        restored[origin.parameter] = try origin.transform.parameterShape(of: shape)
        #expect(try again.placements(of: origin.parameter).contains(GGUFPlacement(tensor: name, transform: origin.transform)))
      }
    }
    let before = try ArchitectureCatalog.graph(configuration: asRead(configuration), weights: ShapesAlone(shapes: parameters))
    let after = try ArchitectureCatalog.graph(configuration: again.configuration, weights: ShapesAlone(shapes: restored))
    func text(_ graph: ModelGraph) -> String {
      // Mistral is read as Llama, with the same graph; an encoder's modules are read without the name of the model with a head, its norms by
      // their new names.
      let names = [("bert.", ""), ("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")]
      let text = names.reduce(graph.description) { $0.replacingOccurrences(of: $1.0, with: $1.1) }
      return text.split(separator: "{", maxSplits: 1).last.map(String.init) ?? ""
    }
    #expect(text(after.graph) == text(before.graph))
    #expect(after.graph.nodes.map(\.operation) == before.graph.nodes.map(\.operation))
    #expect(after.unreadKeys.filter { !["architectures", "bos_token_id", "eos_token_id", "hidden_act"].contains($0) } == [])
    #expect(
      again.metadata(name: "a model", fileType: 0).entries.map(\.key) == model.metadata(name: "a model", fileType: 0).entries.map(\.key)
        || model.architectureName == "deepseek2")
  }

  @Test(arguments: GGUFArchitectureGolden.small) func aConvertedModelIsReadAsItWas(_ name: String) throws {
    let golden = try GGUFArchitectureGolden(name)
    try expectSameModel(golden.configuration, Dictionary(uniqueKeysWithValues: golden.parameters.map { ($0.name, $0.shape) }))
  }

  /// What the reference wrote, not what we write.
  @Test(arguments: GGUFArchitectureGolden.small) func theReferencesFilesAreRead(_ name: String) throws {
    let golden = try GGUFArchitectureGolden(name)
    var metadata = GGUFMetadata()
    for (key, value) in golden.metadata { metadata[key] = value }
    // Files of DeepSeek-V3 say how experts are scored; a configuration written by transformers 5 does not, and the reference copies it.
    if name == "deepseek-v3" { metadata["deepseek2.expert_gating_func"] = .uint32(2) }
    let model = try GGUFModel(
      metadata: metadata, tensors: golden.tensors.map { (name: $0.name, shape: $0.shape) },
      rotaryDivisors: golden.tensors.first { !$0.values.isEmpty }?.values, file: "model.gguf")
    var restored: [String: [Int]] = [:]
    for tensor in golden.tensors {
      for origin in try model.origins(of: tensor.name) {
        restored[origin.parameter] = try origin.transform.parameterShape(of: tensor.shape)
      }
    }
    let source = Dictionary(uniqueKeysWithValues: golden.parameters.map { ($0.name, $0.shape) })
    for (parameter, shape) in restored { #expect(source[parameter] == shape, "\(parameter)") }
    let before = try ArchitectureCatalog.graph(configuration: asRead(golden.configuration), weights: ShapesAlone(shapes: source))
    let after = try ArchitectureCatalog.graph(configuration: model.configuration, weights: ShapesAlone(shapes: restored))
    #expect(after.graph.nodes.map(\.operation) == before.graph.nodes.map(\.operation))
  }

  /// The models of the forward pass's goldens, in old and new words: each goes out and in, or is refused for the one thing that GGUF lacks.
  @Test(
    arguments: [
      ("Fixtures/llama-gqa", nil), ("Fixtures/llama-tied", nil), ("Fixtures/llama-biases", nil), ("Fixtures/llama-bf16", nil),
      ("Fixtures/llama-rope-linear-f16", nil), ("Fixtures/llama-rope-llama3", nil), ("Fixtures/llama-rope-yarn", nil),
      ("Fixtures/llama-relu2", "hidden_act"), ("Fixtures/llama-rope-yarn-factor", "beta_fast"),
      ("Fixtures/llama-rope-yarn-mscale", "truncate"),
      ("Fixtures/mistral-window", "sliding_window"), ("Fixtures/ministral-layers", "sliding_window"),
      ("Fixtures/mixtral", "sliding_window"),
      ("Fixtures/qwen2", nil), ("Fixtures/qwen2-tied", nil), ("Fixtures/qwen2-window-bf16", "sliding_window"), ("Fixtures/qwen3", nil),
      ("Fixtures/qwen3-moe", "mlp_only_layers"), ("Fixtures/deepseek-v2-lite", nil), ("Fixtures/deepseek-v2-groups", "beta_fast"),
      ("Fixtures/deepseek-v3", "beta_fast"), ("Fixtures/deepseek-v3-bf16", "attention_bias"), ("EncoderFixtures/plain", nil),
      ("EncoderFixtures/masked-lm", nil),
    ] as [(String, String?)])
  func goldenModelsGoOutAndIn(_ path: String, refusedFor key: String?) throws {
    let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "ExecutionTests").appending(path: path)
    let file = try SafeTensorsFile(directory.appending(path: "model.safetensors"))
    let parameters = Dictionary(uniqueKeysWithValues: file.descriptors.map { ($0.name, $0.shape.dimensions) })
    for name in ["config.json", "config.legacy.json"] {
      guard let text = try? String(contentsOf: directory.appending(path: name), encoding: .utf8) else { continue }
      let configuration = try JSONValue(parsing: text)
      guard let key else {
        try expectSameModel(configuration, parameters)
        continue
      }
      let error = #expect(throws: CheckpointError.self) { try GGUFModel(configuration: configuration) }
      #expect(error?.subject.hasSuffix(key) == true, "\(error?.description ?? "")")
    }
  }
}
