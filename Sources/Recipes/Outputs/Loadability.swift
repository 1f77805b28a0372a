import Architectures
import Formats
import ModelGraph
import StructuredData
import Tensors

/// What decides which programs load a checkpoint that was written.
struct Loadability {
  let isEncoder: Bool
  /// Widths of the weights that are codes.
  let bits: Set<Int>
  private let hasExperts: Bool
  private let configuration: JSONValue
  private let compression: CompressedTensorsConfiguration?

  init(_ written: ModelBundle) {
    isEncoder = written.graph.purpose == .encoder
    hasExperts = !written.graph.routers.isEmpty
    configuration = written.configuration
    bits = Set(
      written.graph.parameters.compactMap { parameter in
        if case .quantized(let scheme)? = parameter.weightStorage { scheme.bits } else { nil }
      })
    let section = configuration["quantization_config"] ?? .null
    compression = section["quant_method"]?.string == "compressed-tensors" ? try? CompressedTensorsConfiguration(parsing: section) : nil
  }

  /// The packages that transformers needs besides; nil for none.
  var packages: String? {
    if isColumnPacked { return "the packages gptqmodel and optimum" }
    return compression == nil ? nil : "the package compressed-tensors"
  }

  /// Whether it is in GPTQ's or AWQ's layout.
  private var isColumnPacked: Bool { ["gptq", "awq"].contains(configuration["quantization_config"]?["quant_method"]?.string) }

  /// Whether some layers are stored otherwise than GPTQ's settings for all say: by rules that gptqmodel and vLLM read, or the head.
  private var hasOwnRules: Bool {
    guard isColumnPacked, let section = configuration["quantization_config"] else { return false }
    return section["lm_head"]?.bool == true || section["dynamic"]?.object?.members.contains { $0.key.hasPrefix("+:") } ?? false
  }

  /// Whether modules are in it that config.json has no words for that other programs know.
  private var hasOwnModules: Bool { configuration[ArchitectureCatalog.ownKey] != nil }

  /// How transformers is asked for it; nil when it does not load it as it is.
  var transformersLoading: CompressedTensorsConfiguration.TransformersLoading? {
    // It keeps routed experts as one tensor, for which these layouts have no form.
    guard !hasOwnModules, !(isColumnPacked && hasExperts), !hasOwnRules, !hasExperts || compression?.expertCaveat == nil else { return nil }
    let loading = compression?.transformersLoading ?? .asItIs
    return loading == .notAtAll ? nil : loading
  }

  /// Whether vLLM is known to run it.
  var isRunByVLLM: Bool {
    // Its kernels have one activation.
    guard !isEncoder, !hasExperts, !hasOwnModules, ["silu", nil].contains(configuration["hidden_act"]?.string) else { return false }
    if isColumnPacked { return bits.isSubset(of: [4, 8]) && configuration["quantization_config"]?["sym"]?.bool != false }
    return compression?.isRunByVLLM ?? true
  }
}
