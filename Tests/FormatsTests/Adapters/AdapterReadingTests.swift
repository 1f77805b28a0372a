import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors
import Testing

/// Adapters that the libraries wrote.
@Suite struct AdapterReadingTests {
  @Test(arguments: AdapterGolden.names) func readsWhatTheLibrariesWrite(name: String) throws {
    let golden = try AdapterGolden(name)
    let adapter = try AdapterCheckpoint(golden.directory)
    #expect(adapter.modules.map(\.name) == golden.modules.compactMap { $0["name"]?.string })
    for (module, expected) in zip(adapter.modules, golden.modules) {
      #expect(module.rank == expected["rank"]?.integer)
      #expect(module.scaling == expected["scaling"]?.double)
      #expect((module.kind == .embedding) == expected["embedding"]?.bool)
      let delta = try module.delta()
      let (sum, weighted) = (try #require(expected["sum"]?.double), try #require(expected["weighted"]?.double))
      #expect(abs(delta.reduce(0, +) - sum) <= 1e-9 * max(1, abs(sum)))
      let found = delta.enumerated().reduce(0.0) { $0 + Double($1.offset + 1) * $1.element }
      #expect(abs(found - weighted) <= 1e-9 * max(1, abs(weighted)))
      if let magnitude = expected["magnitude"]?.double {
        let values = try #require(module.magnitude?.float32Values())
        #expect(abs(values.reduce(0) { $0 + Double($1) } - magnitude) <= 1e-9 * magnitude)
      } else {
        #expect(module.magnitude == nil)
      }
    }
    try adapter.check(against: ShapesOnly.tinyLlama)
  }

  @Test func settingsAreKept() throws {
    let peft = try AdapterCheckpoint(AdapterGolden("lora").directory).configuration
    #expect(peft.origin == .peft)
    #expect(peft.rank == 3 && peft.alpha == 6 && peft.dropout == 0.05 && peft.taskType == "CAUSAL_LM" && peft.bias == "none")
    #expect(peft.otherKeys["peft_version"] == "0.21.2")
    #expect(peft.otherKeys["r"] == nil)
    let mlx = try AdapterCheckpoint(AdapterGolden("mlx-dora").directory).configuration
    #expect(mlx.origin == .mlx && mlx.isWeightDecomposed && mlx.baseModel == "tiny-llama")
    #expect(mlx.otherKeys.keys == ["batch_size", "learning_rate", "lr_schedule"])
  }

  @Test func adapterNamesInTensorNamesAreLeftOut() throws {
    let scratch = try AdapterScratch()
    let prefix = "base_model.model.m.q_proj.lora_"
    let folder = try scratch.adapter(
      ["peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "use_dora": true],
      [
        prefix + "A.default.weight": [2, 3], prefix + "B.default.weight": [4, 2],
        prefix + "magnitude_vector.default.weight": [4],
      ])
    let adapter = try AdapterCheckpoint(folder)
    #expect(adapter.modules.map(\.name) == ["m.q_proj"])
    #expect(adapter[module: "m.q_proj"]?.magnitude?.shape == [4])
    #expect(adapter[module: "m.k_proj"] == nil)
    // PEFT's default α is 8.
    #expect(adapter.modules[0].scaling == 4)
  }

  @Test func theModelMustFit() throws {
    let adapter = try AdapterCheckpoint(AdapterGolden("lora").directory)
    var model = ShapesOnly.tinyLlama
    model.shapes["model.layers.1.self_attn.q_proj.weight"] = [9, 8]
    #expect(message { try adapter.check(against: model) }.contains("made for a weight of [8, 8], the model has [9, 8]"))
    model.shapes["model.layers.1.self_attn.q_proj.weight"] = nil
    #expect(message { try adapter.check(against: model) }.contains("module model.layers.1.self_attn.q_proj: the model has no such module"))
    model = .tinyLlama
    model.shapes["model.layers.2.self_attn.q_proj.weight"] = [8, 8]
    #expect(message { try adapter.check(against: model) }.contains("model.layers.2.self_attn.q_proj: the settings select this module"))
    // In mlx-lm's layout the blocks count from the last.
    let mlx = try AdapterCheckpoint(AdapterGolden("mlx-lora").directory)
    model.shapes["model.layers.2.mlp.up_proj.weight"] = [12, 8]
    #expect(message { try mlx.check(against: model) }.contains("model.layers.2.mlp.up_proj: the settings select this module"))
  }

  /// PEFT 0.21's `get_pattern_key`: the first pattern that matches up to the end of the name, from its start or a dot.
  @Test(arguments: [
    ("q_proj", 5), ("self_attn.q_proj", 5), ("attn.q_proj", 1), ("model.layers.0.self_attn.q_proj", 5), ("q_pro", 1), (".*q_proj", 5),
    ("^q_proj", 1), ("^model.layers.0.self_attn.q_proj", 5), (#"layers\.[0-3]\..*"#, 5), (#"layers\.[1-3]\..*"#, 1), ("k_proj|q_proj", 5),
    ("self.attn.q.proj", 5), ("layers.0", 1), ("0.self_attn.q_proj$", 5), ("xmodel.layers.0.self_attn.q_proj", 1),
  ])
  func patternsMatchAsInPython(pattern: String, rank: Int) throws {
    let scratch = try AdapterScratch()
    let prefix = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    let folder = try scratch.adapter(
      ["peft_type": "LORA", "r": 1, "target_modules": ["q_proj"], "rank_pattern": .object([pattern: 5])],
      [prefix + "A.weight": [rank, 3], prefix + "B.weight": [4, rank]])
    #expect(try AdapterCheckpoint(folder).modules[0].rank == rank)
  }

  @Test func theFirstPatternCounts() throws {
    let scratch = try AdapterScratch()
    let prefix = "base_model.model.layers.0.q_proj.lora_"
    let folder = try scratch.adapter(
      ["peft_type": "LORA", "r": 1, "target_modules": ["q_proj"], "alpha_pattern": ["q_proj": 3, "layers.0.q_proj": 9]],
      [prefix + "A.weight": [1, 3], prefix + "B.weight": [4, 1]])
    #expect(try AdapterCheckpoint(folder).modules[0].scaling == 3)
  }
}
