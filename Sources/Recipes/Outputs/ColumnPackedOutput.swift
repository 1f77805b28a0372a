import Diagnostics
import Formats
import ModelGraph
import StructuredData
import Tensors

/// safetensors in the layout of GPTQ or of AWQ.
struct ColumnPackedOutput: OutputEncoding {
  /// GPTQ or AWQ.
  let method: Method

  enum Method: Sendable { case gptq, awq }

  /// Asymmetric weights may have the zero point 0, which version 1 of GPTQ's layout has no place for.
  private func encoding(of scheme: QuantizationScheme) -> ColumnPackedEncoding {
    method == .awq ? .awq : .gptq(version: scheme.symmetric ? 1 : 2)
  }

  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry {
    switch weight.storage {
    case .dense(let type): return dense(weight, as: type)
    case .quantized(let asked):
      var tensor: QuantizedTensor?
      if asked.offset == .minimum, asked.scales == .direct { tensor = try weight.storedCodes().map(Self.whole) }
      let scheme = tensor?.scheme ?? asked
      let encoding = encoding(of: scheme)
      let tensors = try encoding.descriptors(module: weight.module, scheme: scheme, shape: weight.shape)
      if let type = weight.storedScaleType, type != .float16, let codes = try tensor ?? weight.storedCodes() {
        try encoding.check(scalesOf: codes, module: weight.module)
      }
      return OutputLayout.Entry(weight, storage: .quantized(encoding.stored(scheme)), tensors: tensors)
    }
  }

  /// The weight with zero points in the place of minima, where they are whole.
  private static func whole(_ tensor: QuantizedTensor) -> QuantizedTensor { tensor.withWholeZeroPoints() ?? tensor }

  func check(_ layout: OutputLayout) throws {
    let schemes = layout.entries.compactMap { if case .quantized(let scheme) = $0.storage { scheme } else { nil } }
    guard let first = schemes.first else { return }
    _ = try ColumnPackedDescription.base(schemes, as: encoding(of: first))
  }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    guard case .quantized(let tensor) = weight, case .quantized = entry.storage else { return try encodeDense(weight, as: entry) }
    let form = Self.whole(tensor)
    return try encoding(of: form.scheme).encode(form, module: entry.module)
  }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight {
    let form = Self.whole(tensor)
    return .quantized(encoding(of: form.scheme).readBack(form))
  }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    let modules = output.quantized.map { (name: $0.name, scheme: $0.scheme) }
    guard let first = modules.first else { return OutputConfiguration(json: .object(object)) }
    let description = try ColumnPackedDescription.describing(
      modules, dense: output.dense, as: encoding(of: first.scheme), tool: (Tool.name, Tool.version))
    var object = object
    object["quantization_config"] = description.json
    // Loaders that came before config.json had it read a file of its own.
    return OutputConfiguration(
      json: .object(object), caveats: description.caveats, files: [(name: "quantize_config.json", content: description.json)])
  }
}
