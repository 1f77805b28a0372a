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
    case .dense(let type): dense(weight, as: type)
    case .quantized(let scheme):
      OutputLayout.Entry(
        weight, storage: weight.storage,
        tensors: try CompressedTensorsEncoding.descriptors(
          module: weight.module, scheme: scheme, shape: weight.shape, scaleType: weight.scaleType))
    }
  }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    guard case .quantized(let tensor) = weight, case .quantized = entry.storage else { return try encodeDense(weight, as: entry) }
    return try CompressedTensorsEncoding.encode(tensor, module: entry.module)
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
    return OutputConfiguration(json: .object(object), caveats: configuration.caveats)
  }
}

/// The same tensors in one HDF5 file.
struct HDF5Output: OutputEncoding {
  private let tensors = CompressedTensorsOutput()

  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry { try tensors.place(weight) }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    try tensors.encode(weight, as: entry)
  }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    try tensors.configuration(object, of: output)
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    try HDF5Writer(
      creating: output.directory.appendingPathComponent("model.h5"), tensors: layout.tensors,
      attributes: ["config.json": output.configuration.json.text(pretty: false), "recipe.yaml": output.recipe])
  }
}
