import Diagnostics
import Foundation
import StructuredData
import Testing

@testable import Formats

/// What GGUF has no words for, and files that are no such models.
@Suite struct GGUFArchitectureRefusalTests {
  @Test(
    arguments: [
      ("llama", ["hidden_act": "gelu"], "hidden_act"),
      ("llama", ["deepseek_optimize": ["normalization": "dynamic-tanh"]], "deepseek_optimize"),
      ("llama", ["partial_rotary_factor": 0.5], "partial_rotary_factor"), ("llama", ["num_hidden_layers": 513], "num_hidden_layers"),
      ("llama", ["rope_parameters": ["rope_type": "dynamic", "factor": 2]], "rope_type"),
      ("llama", ["num_key_value_heads": 3], "num_key_value_heads"),
      ("llama", ["model_type": "gemma2"], "model_type"), ("llama", ["model_type": nil], "model_type"),
      (
        "llama", ["rope_parameters": ["rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1]], "high_freq_factor"
      ),
      ("mistral", ["sliding_window": 63], "sliding_window"), ("mixtral", ["sliding_window": 8], "sliding_window"),
      ("mixtral", ["num_experts_per_tok": 5], "num_experts_per_tok"), ("qwen2", ["head_dim": 16], "head_dim"),
      ("qwen2", ["use_sliding_window": true, "max_window_layers": 1, "sliding_window": 8, "layer_types": nil], "sliding_window"),
      ("qwen2", ["rope_parameters": ["rope_type": "llama3", "factor": 8]], "rope_type"),
      ("qwen3", ["attention_bias": true], "attention_bias"),
      ("qwen3-moe", ["norm_topk_prob": false], "norm_topk_prob"), ("qwen3-moe", ["mlp_only_layers": [0]], "mlp_only_layers"),
      ("qwen3-moe", ["decoder_sparse_step": 2], "mlp_only_layers"), ("deepseek-v3", ["attention_bias": true], "attention_bias"),
      ("deepseek-v3", ["rope_interleave": false], "rope_interleave"), ("deepseek-v3", ["n_shared_experts": 0], "n_shared_experts"),
      ("deepseek-v3", ["n_group": 3], "n_group"), ("deepseek-v3", ["n_group": 8], "n_group"),
      ("deepseek-v3", ["num_hidden_layers": 27], "q_lora_rank"),
      ("deepseek-v3", ["rope_parameters": ["rope_type": "linear", "factor": 2]], "rope_type"),
      ("deepseek-v3", ["rope_parameters": ["rope_type": "yarn", "factor": 4, "mscale": 1, "mscale_all_dim": 0.5]], "mscale"),
      ("deepseek-v3", ["rope_parameters": ["rope_type": "yarn", "factor": 4]], "mscale"),
      ("deepseek-v2-lite", ["mlp_bias": true], "mlp_bias"), ("deepseek-v2-lite", ["topk_method": "noaux_tc"], "topk_method"),
      ("bert", ["hidden_act": "relu"], "hidden_act"), ("bert", ["is_decoder": true], "is_decoder"),
      ("bert", ["position_embedding_type": "relative_key"], "position_embedding_type"),
    ] as [(String, JSONObject, String)])
  func whatReadersLackIsRefusedByKey(_ name: String, _ changes: JSONObject, _ key: String) throws {
    let error = try #require(try refusal(name, changes))
    #expect(error.kind == .usage && error.subject.hasSuffix(key) && !error.remedy.isEmpty, "\(error)")
  }

  @Test(
    arguments: [
      ["vocab_size": 0], ["hidden_size": 1e300], ["num_hidden_layers": -1], ["rms_norm_eps": "small"], ["rms_norm_eps": 0],
      ["rms_norm_eps": 1e-300], ["rope_parameters": 7], ["rope_parameters": ["rope_type": "yarn", "factor": -1]],
      ["tie_word_embeddings": 1],
      ["num_key_value_heads": nil, "num_attention_heads": nil],
    ] as [JSONObject])
  func impossibleConfigurationsAreRefused(_ changes: JSONObject) throws {
    #expect(try refusal("llama", changes)?.kind == .badData)
  }

  /// What is as good as what GGUF has.
  @Test(
    arguments: [
      ("mistral", ["sliding_window": 64]), ("qwen2", ["use_sliding_window": true, "max_window_layers": 28, "layer_types": nil]),
      ("llama", ["deepseek_optimize": [:]]), ("deepseek-v3", ["n_group": 4, "topk_group": 4]), ("deepseek-v3", ["n_routed_experts": nil]),
      ("deepseek-v3", ["num_hidden_layers": 27, "q_lora_rank": nil]),
    ] as [(String, JSONObject)])
  func whatComesToTheSameIsWritten(_ name: String, _ changes: JSONObject) throws {
    #expect(try refusal(name, changes) == nil)
  }

  private func refusal(_ name: String, _ changes: JSONObject) throws -> CheckpointError? {
    var configuration = try #require(try GGUFArchitectureGolden(name).configuration.object)
    for member in changes.members { configuration[member.key] = member.value.isNull ? nil : member.value }
    do {
      _ = try GGUFModel(configuration: .object(configuration))
      return nil
    } catch { return error }
  }

  /// A model's own file, with one thing changed.
  private func file(
    _ name: String, _ change: (inout GGUFMetadata, inout [String: [Int]]) -> Void
  ) throws -> Result<GGUFModel, CheckpointError> {
    let golden = try GGUFArchitectureGolden(name)
    let model = try GGUFModel(configuration: golden.configuration)
    var metadata = model.metadata(name: "a model", fileType: 0)
    var tensors = try tensors(of: model, Dictionary(uniqueKeysWithValues: golden.parameters.map { ($0.name, $0.shape) }))
    change(&metadata, &tensors)
    let list = tensors.map { (name: $0.key, shape: $0.value) }
    return Result { () throws(CheckpointError) in
      try GGUFModel(metadata: metadata, tensors: list, rotaryDivisors: model.synthesizedTensors.first?.values, file: "model.gguf")
    }
  }

  @Test(
    arguments: [
      ("general.architecture", nil), ("general.architecture", .string("gemma3")), ("llama.block_count", .uint32(.max)),
      ("llama.block_count", .uint64(.max)), ("llama.block_count", .int32(-1)), ("llama.block_count", .uint32(0)),
      ("llama.block_count", .uint32(1)),
      ("llama.block_count", .string("2")), ("llama.embedding_length", .uint32(33)), ("llama.embedding_length", nil),
      ("llama.attention.head_count", .uint32(0)), ("llama.attention.head_count", .uint32(5)), ("llama.attention.head_count_kv", .uint32(3)),
      ("llama.attention.layer_norm_rms_epsilon", nil), ("llama.attention.layer_norm_rms_epsilon", .float32(.nan)),
      ("llama.attention.layer_norm_rms_epsilon", .float32(-1)), ("llama.rope.freq_base", .float32(.infinity)),
      ("llama.rope.freq_base", .float32(0)),
      ("llama.rope.dimension_count", .uint32(6)), ("llama.rope.scaling.type", .string("longrope")),
      ("llama.attention.causal", .bool(false)),
      ("llama.rope.scaling.attn_factor", .float32(2)), ("llama.context_length", .uint64(1 << 60)),
      ("llama.feed_forward_length", .int32s([16, 8])),
      ("llama.feed_forward_length", .int32s([])), ("llama.attention.value_length", .uint32(4)), ("llama.nextn_predict_layers", .uint32(2)),
      ("llama.expert_count", .uint32(4)),
    ] as [(String, GGUFValue?)])
  func hostileMetadataIsRefused(_ key: String, _ value: GGUFValue?) throws {
    let result = try file("llama") { metadata, _ in metadata[key] = value }
    guard case .failure(let error) = result else {
      Issue.record("read")
      return
    }
    #expect(error.kind == .badData && error.subject.hasPrefix("model.gguf"), "\(error)")
  }

  @Test(
    arguments: [
      ("llama", "token_embd.weight", nil), ("llama", "token_embd.weight", [96]), ("llama", "token_embd.weight", [96, 0]),
      ("llama", "token_embd.weight", [96, .max]), ("llama", "blk.2.attn_q.weight", [32, 32]), ("llama", "blk.0.attn_qkv.weight", [96, 32]),
      ("llama", "blk.0.attn_q.weight", [47, 32]), ("llama", "blk.0.attn_q.bias", [48]), ("llama", "blk..attn_q.weight", [4]),
      ("llama", "", [4]),
      ("llama", "model.norm.weight", [32]), ("mixtral", "blk.0.ffn_up_exps.weight", [5, 16, 32]),
      ("mixtral", "blk.0.ffn_up_exps.weight", [4]),
      ("deepseek-v3", "blk.0.attn_k_b.weight", [4, 6, 8]), ("deepseek-v3", "blk.0.attn_v_b.weight", [20, 8]),
      ("bert", "position_embd.weight", nil),
      ("bert", "token_types.weight", [2, 25]), ("llama-llama3", "rope_freqs.weight", [7]),
    ] as [(String, String, [Int]?)])
  func tensorsThatDoNotFitAreRefused(_ name: String, _ tensor: String, _ shape: [Int]?) throws {
    let result = try file(name) { _, tensors in tensors[tensor] = shape }
    guard case .failure(let error) = result else {
      Issue.record("read")
      return
    }
    #expect(error.kind == .badData && error.subject.hasPrefix("model.gguf"), "\(error)")
  }

  /// As many experts as readers have room for are written; more are not read either.
  @Test(arguments: [("mixtral", "llama"), ("qwen3-moe", "qwen3moe"), ("deepseek-v3", "deepseek2")])
  func moreExpertsThanReadersHaveRoomForAreRefused(_ name: String, _ architecture: String) throws {
    let result = try file(name) { metadata, tensors in
      metadata["\(architecture).expert_count"] = .uint32(1025)
      for (tensor, shape) in tensors where tensor.hasSuffix("_exps.weight") { tensors[tensor] = [1025] + shape.dropFirst() }
    }
    guard case .failure(let error) = result else {
      Issue.record("read")
      return
    }
    #expect(error.kind == .badData && error.subject.hasSuffix("expert_count") && error.problem.contains("1024"), "\(error)")
  }

  /// Where values are missing, Llama 3.1's scaling stands for them, and what can be checked is.
  @Test func divisorsThatCannotBeReadAreAssumed() throws {
    let model = try GGUFModel(configuration: GGUFArchitectureGolden("llama-llama3").configuration)
    let parameters = Dictionary(uniqueKeysWithValues: try GGUFArchitectureGolden("llama-llama3").parameters.map { ($0.name, $0.shape) })
    var list = try tensors(of: model, parameters)
    let metadata = model.metadata(name: "", fileType: 0)
    func read(_ extent: CheckpointExtent) -> Result<GGUFModel, CheckpointError> {
      Result { () throws(CheckpointError) in
        try GGUFModel(metadata: metadata, tensors: list.map { (name: $0.key, shape: $0.value) }, extent: extent, file: "model.gguf")
      }
    }
    #expect(try read(.headers).get().configuration["rope_scaling"]?["rope_type"] == "llama3")
    #expect(try read(.headers).get().synthesizedTensors.map(\.name) == ["rope_freqs.weight"])
    #expect(throws: CheckpointError.self) { try read(.complete).get() }
    list["rope_freqs.weight"] = [7]
    let error = #expect(throws: CheckpointError.self) { try read(.headers).get() }
    #expect(error?.kind == .badData)
  }

  @Test func unknownArchitecturesNameTheKnownOnes() throws {
    guard case .failure(let error) = try file("llama", { metadata, _ in metadata["general.architecture"] = .string("gemma3") }) else {
      Issue.record("read")
      return
    }
    #expect(error.problem.contains("gemma3"))
    for name in GGUFModel.architectures { #expect(error.remedy.contains(name)) }
  }

  @Test func olderWaysAreRead() throws {
    // Keys and values in one tensor, as DeepSeek's files had them, with heads that are no cache's.
    let old = try file("deepseek-v3") { metadata, tensors in
      for layer in 0..<2 {
        tensors["blk.\(layer).attn_k_b.weight"] = nil
        tensors["blk.\(layer).attn_v_b.weight"] = nil
        tensors["blk.\(layer).attn_kv_b.weight"] = [44, 8]
      }
      for key in ["key_length_mla", "value_length_mla"] { metadata["deepseek2.attention.\(key)"] = nil }
      metadata["deepseek2.attention.head_count_kv"] = .uint32(4)
      metadata["deepseek2.attention.key_length"] = .uint32(10)
      metadata["deepseek2.attention.value_length"] = .uint32(5)
    }.get()
    let new = try file("deepseek-v3") { _, _ in }.get()
    #expect(old.configuration == new.configuration)
    #expect(try old.origins(of: "blk.1.attn_kv_b.weight").map(\.parameter) == ["model.layers.1.self_attn.kv_b_proj.weight"])
    // One value for every layer, and a factor without a type.
    let uniform = try file("llama") { metadata, _ in
      metadata["llama.feed_forward_length"] = .int32s([16, 16])
      metadata["llama.rope.scale_linear"] = .float32(2)
    }.get()
    #expect(uniform.configuration["intermediate_size"] == 16)
    #expect(uniform.configuration["rope_scaling"] == ["rope_type": "linear", "factor": 2.0])
    // Blocks behind the layers predict further tokens.
    let more = try file("deepseek-v3") { metadata, tensors in
      metadata["deepseek2.block_count"] = .uint32(3)
      metadata["deepseek2.nextn_predict_layers"] = .uint32(1)
      tensors["blk.2.nextn.eh_proj.weight"] = [32, 64]
    }.get()
    #expect(more.configuration["num_hidden_layers"] == 2)
    #expect(try more.origins(of: "blk.2.nextn.eh_proj.weight") == [])
  }

  @Test(arguments: [
    (8.0, 1.0, 4.0, 8192.0, 500_000.0, 32), (32, 1, 4, 8192, 500_000, 32), (8, 1, 4, 16, 500, 8), (4, 1, 3, 3000, 10_000, 64),
    (16, 2, 7, 5000, 100_000, 64),
  ])
  func divisorsGiveTheScalingBack(factor: Double, low: Double, high: Double, context: Double, base: Double, count: Int) throws {
    let scaling = GGUFRotaryDivisors(factor: factor, low: low, high: high, context: context)
    let values = scaling.values(count: count, base: base)
    let found = try #require(GGUFRotaryDivisors(values, base: base))
    for (mine, theirs) in zip(found.values(count: count, base: base), values) { #expect(abs(mine - theirs) <= 1e-4 * theirs) }
    if low == 1 { #expect(found == scaling) }
    var broken = values
    broken[1] *= 3
    #expect(GGUFRotaryDivisors(broken, base: base) == nil)
  }

  /// The magnitude of YaRN reaches readers as a share of what they derive.
  @Test func attentionFactorsAreShares() throws {
    var configuration = try #require(try GGUFArchitectureGolden("llama-yarn").configuration.object)
    configuration["rope_parameters"] = ["rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16, "attention_factor": 0.8]
    let model = try GGUFModel(configuration: .object(configuration))
    let share = try #require(model.metadata(name: "", fileType: 0).number("llama.rope.scaling.attn_factor"))
    #expect(abs(share * (0.1 * log(4) + 1) - 0.8) < 1e-6)
    let result = try file("llama-yarn") { metadata, _ in metadata["llama.rope.scaling.attn_factor"] = .float32(Float(share)) }.get()
    let factor = try #require(result.configuration["rope_scaling"]?["attention_factor"]?.double)
    #expect(abs(factor - 0.8) < 1e-6)
  }

  @Test func everyArchitectureOfTheFolderIsListed() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Sources/Formats/GGUF/Architectures")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix("GGUF.swift") }
    #expect(files.map { String($0.dropLast(6)) }.sorted() == GGUFArchitectureCatalog.architectures.map { "\($0)" }.sorted())
  }
}
