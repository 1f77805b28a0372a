import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// safetensors in the layout of compressed-tensors.
struct CompressedTensorsOutput: OutputEncoding {
  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry {
    switch weight.storage {
    case .dense(let type): return dense(weight, as: type)
    case .quantized(let asked):
      let scheme = try Self.whole(weight, as: asked)
      return OutputLayout.Entry(
        weight, storage: .quantized(scheme),
        tensors: try CompressedTensorsEncoding.descriptors(
          module: weight.module, scheme: scheme, shape: weight.shape, scaleType: weight.scaleType))
    }
  }

  /// The scheme with zero points in the place of minima, where a weight that is passed on has whole ones.
  private static func whole(_ weight: OutputLayout.Subject, as scheme: QuantizationScheme) throws -> QuantizationScheme {
    guard scheme.offset == .minimum, scheme.scales == .direct, case .quantized(let tensor)? = try weight.stored?() else { return scheme }
    return tensor.withWholeZeroPoints()?.scheme ?? scheme
  }

  private static func whole(_ tensor: QuantizedTensor) -> QuantizedTensor { tensor.withWholeZeroPoints() ?? tensor }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight { .quantized(Self.whole(tensor)) }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    guard case .quantized(let tensor) = weight, case .quantized = entry.storage else { return try encodeDense(weight, as: entry) }
    return try CompressedTensorsEncoding.encode(Self.whole(tensor), module: entry.module)
  }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    var modules: [CompressedTensorsConfiguration.Module] = []
    for (name, scheme, shape) in output.quantized {
      let format = try CompressedTensorsFormat.format(for: scheme, inputs: shape[1], isExpert: CompressedTensorsEncoding.isExpert(name))
      modules.append(CompressedTensorsConfiguration.Module(name: name, scheme: scheme, format: format))
    }
    guard !modules.isEmpty else { return OutputConfiguration(json: .object(object)) }
    let configuration = try CompressedTensorsConfiguration(modules: modules, dense: output.dense)
    var object = object
    object["quantization_config"] = configuration.json(tool: ["name": .string(Tool.name), "version": .string(Tool.version)])
    let hasExperts = output.layout.entries.contains { CompressedTensorsEncoding.isExpert($0.module) }
    let expertCaveat = hasExperts ? configuration.expertCaveat : nil
    return OutputConfiguration(json: .object(object), caveats: configuration.caveats + (expertCaveat.map { [$0] } ?? []))
  }
}

/// The same tensors in one HDF5 file.
struct HDF5Output: OutputEncoding {
  private let tensors = CompressedTensorsOutput()

  /// The library that writes the file takes it for its own.
  var isDivisible: Bool { false }

  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry { try tensors.place(weight) }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    try tensors.encode(weight, as: entry)
  }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight { tensors.expected(tensor, as: entry) }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    try tensors.configuration(object, of: output)
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    try HDF5Writer(
      creating: output.directory.appendingPathComponent("model.h5"), tensors: layout.tensors,
      attributes: ["config.json": output.configuration.json.text(pretty: false), "recipe.yaml": output.recipe])
  }
}
