import Formats
import StructuredData
import Tensors
import Testing

/// What is said of a checkpoint to its loaders.
@Suite struct ColumnPackedDescriptionTests {
  private let four = QuantizationScheme(bits: 4, granularity: .group(32))
  private let eight = QuantizationScheme(bits: 8, granularity: .channel)

  private func describe(
    _ modules: [(name: String, scheme: QuantizationScheme)], dense: [String] = [], as encoding: ColumnPackedEncoding = .gptq(version: 1)
  ) throws -> ColumnPackedDescription {
    try .describing(modules, dense: dense, as: encoding, tool: ("tool", "1"))
  }

  private let names = (0..<2).flatMap { layer in ["self_attn.q_proj", "mlp.up_proj"].map { "model.layers.\(layer).\($0)" } }

  @Test func namesWhatEveryBlockHasOnce() throws {
    let json = try describe(names.map { ($0, four) }, dense: ["lm_head"]).json
    #expect(json["modules_in_block_to_quantize"] == [["self_attn.q_proj", "mlp.up_proj"]])
    #expect(json["dynamic"] == nil && json["block_name_to_quantize"] == nil)
    #expect(json["bits"] == 4 && json["group_size"] == 32 && json["sym"] == true && json["checkpoint_format"] == "gptq")
  }

  @Test func namesLayersInFullWhereSomeStayDense() throws {
    let json = try describe(names.dropLast().map { ($0, four) }, dense: ["lm_head", "model.layers.1.mlp.up_proj"]).json
    #expect(json["modules_in_block_to_quantize"] == [["self_attn.q_proj", "model.layers.0.mlp.up_proj"]])
    #expect(json["dynamic"]?.object?.keys == ["-:model\\.layers\\.1\\.mlp\\.up_proj$"])
  }

  @Test func rulesSayWhichLayersHaveAnotherWidth() throws {
    let modules = names.map { (name: $0, scheme: $0.hasSuffix("1.mlp.up_proj") ? eight : four) }
    let description = try describe(modules)
    #expect(description.json["dynamic"]?["+:model\\.layers\\.1\\.mlp\\.up_proj$"] == ["bits": 8, "group_size": -1, "sym": true])
    #expect(description.caveats.contains { $0.contains("dynamic") })
  }

  @Test func otherPlacesOfBlocksAreNamed() throws {
    #expect(try describe([("bert.encoder.layer.0.output.dense", four)]).json["block_name_to_quantize"] == "bert.encoder.layer")
  }

  @Test func refusesWhatOneFileCannotHold() {
    let mixed = [("a.0.b", four), ("a.0.c", eight)], signs = [("a.0.b", four), ("a.0.c", QuantizationScheme(bits: 4, symmetric: false))]
    #expect(message { _ = try describe(mixed, as: .awq) }.contains("--format gptq"))
    #expect(message { _ = try describe(signs) }.contains("--format compressed-tensors"))
  }

  @Test func denseLayersAreListedInFullForAWQ() throws {
    let json = try describe(names.map { ($0, four) }, dense: ["lm_head", "model.layers.2.mlp.gate"], as: .awq).json
    #expect(json["modules_to_not_convert"] == ["lm_head", "model.layers.2.mlp.gate"])
    #expect(json["zero_point"] == true && json["version"] == "gemm")
  }
}
