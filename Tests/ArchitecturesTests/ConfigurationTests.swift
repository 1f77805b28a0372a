import Diagnostics
import Foundation
import ModelGraph
import StructuredData
import Tensors
import Testing

@testable import Architectures

private struct NoWeights: WeightSource {
  var names: [String] { [] }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { nil }
  func load(_ name: String) throws -> Weight { throw GraphError(tensor: name, "is not there") }
}

@Suite struct ConfigurationTests {
  private let base: JSONObject = [
    "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
  ]

  private func refusal(_ changes: JSONObject) -> ConfigurationError? {
    var configuration = base
    for member in changes.members { configuration[member.key] = member.value }
    do {
      _ = try ArchitectureCatalog.graph(configuration: .object(configuration), weights: NoWeights())
    } catch let error as ConfigurationError {
      return error
    } catch {}
    return nil
  }

  /// A good configuration gets as far as looking for weights.
  @Test func theBaseIsGood() {
    #expect(refusal([:]) == nil)
    #expect(throws: GraphError.self) { try ArchitectureCatalog.graph(configuration: .object(base), weights: NoWeights()) }
  }

  @Test(arguments: [
    ["model_type": "gpt_bigcode"] as JSONObject, ["model_type": nil], ["model_type": 3], ["vocab_size": 0], ["vocab_size": -5],
    ["vocab_size": "many"],
    ["hidden_size": 1e300], ["hidden_size": 9_223_372_036_854_775_807], ["num_hidden_layers": 1_000_000_000], ["vocab_size": 1_000_000_000],
    ["hidden_size": 1_000_000_000], ["intermediate_size": 1_000_000_000],
    ["num_attention_heads": 1_000_000_000], ["head_dim": 1_000_000_000], ["max_position_embeddings": 1_000_000_000],
    ["model_type": "mixtral", "num_local_experts": 1_000_000_000], ["model_type": "qwen3_moe", "num_experts": 1_000_000_000],
    ["model_type": "bert", "type_vocab_size": 1_000_000_000],
    ["num_key_value_heads": 3],
    ["head_dim": 5], ["head_dim": 0], ["hidden_act": "mish"], ["rms_norm_eps": "small"], ["attention_bias": 1], ["rope_theta": -1],
    ["rope_scaling": ["type": "dynamic", "factor": 2]], ["rope_scaling": ["rope_type": "linear"]],
    ["rope_scaling": ["rope_type": "linear", "factor": 0]],
    ["rope_scaling": ["rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1]], ["rope_scaling": 7],
    ["rope_parameters": ["rope_type": "yarn", "factor": 2, "original_max_position_embeddings": -1]],
  ])
  func impossibleConfigurationsAreRefusedByKey(_ changes: JSONObject) throws {
    let error = try #require(refusal(changes))
    #expect(error.kind == .badData)
    #expect(error.description.contains("config.json"))
  }

  @Test func layerTypesMustFit() {
    #expect(refusal(["model_type": "qwen2", "layer_types": ["full_attention"]]) != nil)
    #expect(refusal(["model_type": "qwen3", "layer_types": ["full_attention", "linear_attention"]]) != nil)
    #expect(refusal(["model_type": "qwen2", "layer_types": ["full_attention", "sliding_attention"]]) == nil)
  }

  @Test func unreadKeysAreKnown() throws {
    var reader = try ConfigurationReader(.object(["a": 1, "b": 2, "c": nil]))
    #expect(try reader.count("a") == 1)
    #expect(reader.unread == ["b", "c"])
  }

  /// One new file in Families/ is one new entry: the list and the folder are held to each other.
  @Test func theCatalogueListsEveryFamilyFile() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Sources/Architectures/Families")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".swift") }.map {
      String($0.dropLast(6))
    }
    #expect(Set(files) == Set(ArchitectureCatalog.families.map { "\($0)" }))
    #expect(Set(ArchitectureCatalog.modelTypes).count == ArchitectureCatalog.modelTypes.count)
  }

  /// What stands under our own key is read to the last word: another model must not pass for this one.
  @Test(
    arguments: [
      3, ["attention": 3], ["attention": [3]], ["attention": [["layers": [0]]]], ["attention": [["layers": [2], "type": "global"]]],
      ["attention": [["layers": [0], "type": "sliding-window"]]], ["attention": [["layers": [0], "type": "sliding-window", "window": 0]]],
      ["attention": [["layers": [0], "type": "top-tokens", "block": 4]]],
      ["attention": [["layers": [0], "type": "top-tokens", "block": 1048576, "count": 1048576]]],
      ["attention": [["layers": [0], "type": "global", "more": 1]]],
      ["attention": [["layers": [0], "type": "global"], ["layers": [0], "type": "global"]]], ["normalization": "batch-norm"],
      ["normalisation": "layer-norm"],
    ] as [JSONValue])
  func unknownReplacementsAreRefused(_ own: JSONValue) {
    #expect(refusal(["deepseek_optimize": own]) != nil)
  }

  @Test func knownReplacementsAreRead() {
    #expect(
      refusal([
        "deepseek_optimize": [
          "normalization": "dynamic-tanh",
          "attention": [
            ["layers": [1], "type": "top-tokens", "block": 4, "count": 2], ["layers": [0], "type": "sliding-window", "window": 3],
          ],
        ]
      ]) == nil)
  }
}
