import Diagnostics
import Formats
import StructuredData
import Tensors
import Testing

/// `quantization_config`: what is written, what is read, what is refused, and which module belongs to which group.
@Suite struct CompressedTensorsConfigurationTests {
  private func module(_ name: String, _ scheme: QuantizationScheme) throws -> CompressedTensorsConfiguration.Module {
    .init(name: name, scheme: scheme, format: try CompressedTensorsFormat.format(for: scheme))
  }

  @Test func writesOneScheme() throws {
    let scheme = QuantizationScheme(bits: 4, granularity: .group(128))
    let configuration = try CompressedTensorsConfiguration(
      modules: [module("a", scheme), module("b", scheme)], dense: ["lm_head"])
    let expected = """
      {"quant_method":"compressed-tensors","version":"0.20.0","format":"pack-quantized","quantization_status":"compressed",\
      "global_compression_ratio":null,"kv_cache_scheme":null,"ignore":["lm_head"],"sparsity_config":{},"transform_config":{},\
      "config_groups":{"group_0":{"targets":["Linear"],"format":"pack-quantized","input_activations":null,"output_activations":null,\
      "weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"group","group_size":128,"dynamic":false}}},\
      "deepseek_optimize":{"version":"1"}}
      """
    #expect(configuration.json(tool: ["version": "1"]).text(pretty: false) == expected)
    #expect(configuration.caveats.isEmpty)
  }

  @Test func writesIntegerActivations() throws {
    let configuration = try CompressedTensorsConfiguration(
      modules: [module("a", QuantizationScheme(bits: 8, activations: .int8))], dense: [])
    let group = configuration.json()["config_groups"]?["group_0"]
    #expect(group?["format"] == "int-quantized")
    #expect(
      group?["input_activations"]?.text(pretty: false)
        == #"{"num_bits":8,"type":"int","symmetric":true,"strategy":"token","dynamic":true,"group_size":null}"#)
    #expect(group?["weights"]?["group_size"] == .null)
    #expect(group?["weights"]?["strategy"] == "channel")
  }

  /// Three schemes over a mixture of experts: few targets, and each module finds its own group again.
  @Test func severalSchemesAreReadBack() throws {
    let four = QuantizationScheme(bits: 4, symmetric: false, granularity: .group(32))
    let eight = QuantizationScheme(bits: 8)
    let six = QuantizationScheme(bits: 6, activations: .int8)
    var modules: [CompressedTensorsConfiguration.Module] = []
    for layer in 0..<12 {
      modules.append(try module("model.layers.\(layer).self_attn.q_proj", layer == 3 || layer == 10 ? eight : four))
      modules.append(try module("model.layers.\(layer).mlp.down_proj", layer == 1 ? six : eight))
      for expert in 0..<20 {
        modules.append(try module("model.layers.\(layer).mlp.experts.\(expert).up_proj", layer == 5 && expert == 7 ? six : four))
      }
    }
    let dense = (0..<12).map { "model.layers.\($0).mlp.gate" } + ["lm_head", "model.layers.3.mlp.experts.20.up_proj"]
    let written = try CompressedTensorsConfiguration(modules: modules, dense: dense)
    #expect(written.groups.count == 3)
    #expect(written.groups.flatMap(\.targets).count < 50)
    #expect(written.json()["format"] == "pack-quantized")
    #expect(written.caveats.contains { $0.contains("several schemes") })
    let read = try CompressedTensorsConfiguration(parsing: written.json())
    for module in modules {
      #expect(read.group(of: module.name)?.scheme == module.scheme, "\(module.name)")
      #expect(read.group(of: module.name)?.format == module.format)
    }
    for name in dense + ["model.layers.12.self_attn.k_proj", "xmodel.layers.0.mlp.down_proj"] {
      #expect(read.group(of: name) == nil, "\(name)")
    }
  }

  @Test func mixedFormatsSaySo() throws {
    let configuration = try CompressedTensorsConfiguration(
      modules: [module("a", QuantizationScheme(bits: 4)), module("b", QuantizationScheme(bits: 8, activations: .int8))], dense: [])
    #expect(configuration.json()["format"] == "mixed-precision")
    #expect(try CompressedTensorsConfiguration(parsing: configuration.json()).group(of: "b")?.format == .intQuantized)
  }

  @Test func targetsMatchLikeTheReference() throws {
    let golden = try CompressedTensorsGolden()
    let names = try golden.list("names").compactMap(\.string)
    var owned = 0
    for test in try golden.list("matching") {
      let groups = try #require(test["groups"]?.object)
      let document: JSONValue = [
        "quantization_status": "compressed", "ignore": test["ignore"] ?? [],
        "config_groups": .object(
          groups.members.reduce(into: JSONObject()) { $0[$1.key] = ["targets": $1.value, "weights": ["group_size": 32, "num_bits": 4]] }),
      ]
      let configuration = try CompressedTensorsConfiguration(parsing: document)
      for name in names {
        let expected = test["expected"]?[name]?.string
        #expect(configuration.group(of: name)?.name == expected, "\(name) in \(test.text(pretty: false))")
        owned += expected == nil ? 0 : 1
      }
    }
    #expect(owned > 100)
  }

  private func parse(_ edit: (inout JSONObject) -> Void) -> String {
    var document: JSONObject = [
      "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed", "ignore": ["lm_head"],
      "config_groups": ["group_0": ["targets": ["Linear"], "weights": ["num_bits": 4, "group_size": 128]]],
    ]
    edit(&document)
    return message { _ = try CompressedTensorsConfiguration(parsing: .object(document)) }
  }

  @Test func readsTheLeastThatLoads() throws {
    #expect(parse { _ in } == "")
    #expect(parse { $0["anything"] = 1 } == "")
    #expect(parse { $0["ignore"] = nil } == "")
    #expect(parse { $0["sparsity_config"] = ["format": "dense"] } == "")
    let preset = try CompressedTensorsConfiguration(
      parsing: ["quantization_status": "compressed", "config_groups": ["W4A16_ASYM": ["Linear"], "w8a8": ["re:x"]]])
    #expect(preset.group(of: "a")?.scheme == QuantizationScheme(bits: 4, symmetric: false, granularity: .group(128)))
    #expect(preset.group(of: "x")?.scheme == QuantizationScheme(bits: 8, activations: .int8))
    #expect(preset.group(of: "a")?.format == nil)
  }

  @Test(arguments: [
    ("quantization_status", "\"frozen\"", "frozen"), ("quantization_status", "null", "absent"),
    ("kv_cache_scheme", "{\"num_bits\":8}", "kv_cache_scheme"),
    ("sparsity_config", "{\"format\":\"sparse-24-bitmask\"}", "sparsity_config"),
    ("transform_config", "{\"config_groups\":{}}", "transform_config"), ("format", "\"marlin-24\"", "marlin-24"),
    ("format", "3", "format 3"), ("ignore", "[1]", "list of strings"), ("ignore", "[\"re:(\"]", "a group does not end"),
    ("config_groups", "{}", "config_groups"), ("config_groups", "{\"NVFP4\":[\"Linear\"]}", "preset"),
  ]) func refusesAtTheTop(key: String, value: String, problem: String) throws {
    let parsed = try JSONValue(parsing: value)
    let text = parse { $0[key] = parsed }
    #expect(text.contains("config.json, quantization_config") && text.contains(problem), "\(text)")
  }

  @Test(arguments: [
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"my_field":1,"group_size":128}}"#, "group_0.weights.my_field: the key is unknown"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4},"more":1}"#, "group_0.more: the key is unknown"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4}}"#, "\"tensor\" is not supported"),
    (#"{"targets":["Linear"],"weights":{"num_bits":1,"strategy":"channel"}}"#, "num_bits: 1 is not supported"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"strategy":"block","block_structure":[128,128]}}"#, "\"block\" is not supported"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"strategy":"channel","group_size":128}}"#, "does not go with"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"strategy":"group"}}"#, "does not go with"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"group_size":9223372036854775807}}"#, "group_size"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"group_size":128,"actorder":"group"}}"#, "actorder: \"group\" is not supported"),
    (#"{"targets":["Linear"],"weights":{"num_bits":4,"group_size":128,"dynamic":true}}"#, "at run time"),
    (
      #"{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"input_activations":{"num_bits":8,"symmetric":false}}"#,
      "asymmetric"
    ),
    (
      #"{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"input_activations":{"num_bits":8,"strategy":"token"}}"#,
      "static"
    ),
    (
      #"{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"input_activations":{"num_bits":8,"dynamic":true}}"#, "dynamic"
    ),
    (
      #"{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"input_activations":{"num_bits":8,"type":"float"}}"#,
      "float activations"
    ),
    (
      #"{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"output_activations":{"num_bits":8}}"#, "quantized outputs"
    ),
    (#"{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"format":"marlin-24"}"#, "marlin-24"),
    (#"{"targets":"Linear","weights":{"num_bits":8,"strategy":"channel"}}"#, "list of strings"),
  ]) func refusesGroups(group: String, problem: String) throws {
    let parsed = try JSONValue(parsing: group)
    let text = parse { $0["config_groups"] = ["group_0": parsed] }
    #expect(text.contains(problem), "\(text)")
  }

  @Test(arguments: [
    "{\"num_bits\":4,\"group_size\":128,\"actorder\":\"weight\"}",
    "{\"num_bits\":4,\"group_size\":128,\"actorder\":null,\"observer\":\"minmax\"}",
    "{\"num_bits\":4,\"group_size\":128,\"actorder\":\"static\",\"observer_kwargs\":{},\"zp_dtype\":null,\"scale_dtype\":null}",
    "{\"num_bits\":4,\"group_size\":-1}", "{\"num_bits\":4,\"strategy\":\"CHANNEL\",\"type\":\"INT\"}",
  ]) func acceptsArguments(weights: String) throws {
    let parsed = try JSONValue(parsing: weights)
    #expect(parse { $0["config_groups"] = ["group_0": ["targets": ["Linear"], "weights": parsed]] } == "")
  }
}
