import Formats
import Testing

/// Orders of rows, worked out by hand.
@Suite struct GGUFArchitectureTransformTests {
  @Test func rotaryRowsInterleaveTheHalvesOfEachHead() throws {
    let transform = GGUFTransform.rotaryPermutation(heads: 2)
    #expect(try transform.forward(rows: 12) == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11])
    #expect(try transform.inverse(rows: 12) == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
    #expect(try transform.tensorShape(of: [12, 7]) == [12, 7])
    #expect(throws: CheckpointError.self) { try transform.forward(rows: 10) }
    #expect(throws: CheckpointError.self) { try transform.parameterShape(of: [6, 4]) }
    #expect(throws: CheckpointError.self) { try GGUFTransform.rotaryPermutation(heads: 0).forward(rows: 4) }
    #expect(throws: CheckpointError.self) { try transform.forward(rows: -4) }
  }

  @Test func expertsLieBehindOneAnother() throws {
    let transform = GGUFTransform.slice(index: 2, of: 3)
    #expect(try transform.forward(rows: 4) == [0, 1, 2, 3])
    #expect(try transform.tensorShape(of: [4, 5]) == [3, 4, 5])
    #expect(try transform.parameterShape(of: [3, 4, 5]) == [4, 5])
    #expect(throws: CheckpointError.self) { try transform.parameterShape(of: [2, 4, 5]) }
    #expect(throws: CheckpointError.self) { try transform.parameterShape(of: [3]) }
  }

  @Test func latentHeadsAreCutInKeysAndValues() throws {
    let model = try GGUFModel(configuration: GGUFArchitectureGolden("deepseek-v3").configuration)
    let places = try model.placements(of: "model.layers.0.self_attn.kv_b_proj.weight")
    #expect(places.map(\.tensor) == ["blk.0.attn_k_b.weight", "blk.0.attn_v_b.weight"])
    let (keys, values) = (places[0].transform, places[1].transform)
    // Four heads of six rows for keys and five for values.
    #expect(try keys.forward(rows: 44).prefix(8) == [0, 1, 2, 3, 4, 5, 11, 12])
    #expect(try values.forward(rows: 44).prefix(6) == [6, 7, 8, 9, 10, 17])
    #expect(keys.transposesHeads && !values.transposesHeads)
    #expect(try keys.tensorShape(of: [44, 8]) == [4, 8, 6])
    #expect(try values.tensorShape(of: [44, 8]) == [4, 5, 8])
    #expect(try keys.parameterShape(of: [4, 8, 6]) == [44, 8])
    #expect(try values.parameterShape(of: [4, 5, 8]) == [44, 8])
    // Together they are every row once.
    let both = try zip(keys.inverse(rows: 44), values.inverse(rows: 44)).map { ($0 == nil) != ($1 == nil) }
    #expect(!both.contains(false))
    #expect(throws: CheckpointError.self) { try keys.tensorShape(of: [43, 8]) }
    #expect(throws: CheckpointError.self) { try keys.parameterShape(of: [4, 6, 8]) }
    #expect(throws: CheckpointError.self) { try values.forward(rows: 45) }
  }

  @Test func whatFilesDoWithoutHasNoPlace() throws {
    let deepseek = try GGUFModel(configuration: GGUFArchitectureGolden("deepseek-v3").configuration)
    #expect(try deepseek.placements(of: "model.layers.2.eh_proj.weight") == [])
    #expect(try deepseek.placements(of: "model.layers.1.self_attn.rotary_emb.inv_freq") == [])
    let tied = try GGUFModel(configuration: GGUFArchitectureGolden("qwen3").configuration)
    #expect(try tied.placements(of: "lm_head.weight") == [])
    let encoder = try GGUFModel(configuration: GGUFArchitectureGolden("bert").configuration)
    for name in ["pooler.dense.weight", "bert.pooler.dense.bias", "cls.predictions.bias", "embeddings.position_ids"] {
      #expect(try encoder.placements(of: name) == [])
    }
    #expect(try encoder.placements(of: "bert.embeddings.LayerNorm.gamma").map(\.tensor) == ["token_embd_norm.weight"])
  }

  @Test(arguments: [
    "model.layers.0.mlp.gate_proj.bias", "model.layers.00.mlp.gate_proj.weight", "model.layers.-1.input_layernorm.weight",
    "model.layers.9999999999999999999999.input_layernorm.weight", "model.layers.0.mlp.experts.8.up_proj.weight",
    "model.layers.1.mlp.experts.0.up_proj.bias", "model.layers.1.mlp.experts.+1.up_proj.weight", "model.layers.0.", "model.layers.", "",
    "x",
  ])
  func unknownParametersAreRefused(_ name: String) throws {
    let model = try GGUFModel(configuration: GGUFArchitectureGolden("deepseek-v3").configuration)
    #expect(throws: CheckpointError.self) { try model.placements(of: name) }
  }
}
