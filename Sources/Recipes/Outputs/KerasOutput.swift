import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// A preset of KerasHub.
struct KerasOutput: OutputEncoding {
  /// The library that writes the file takes it for its own.
  var isDivisible: Bool { false }

  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry {
    switch weight.storage {
    case .dense(let type): dense(weight, as: type)
    case .quantized(let scheme):
      OutputLayout.Entry(
        weight, storage: weight.storage,
        tensors: try KerasPreset.descriptors(module: weight.module, scheme: scheme, shape: weight.shape))
    }
  }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    guard case .quantized(let tensor) = weight, case .quantized = entry.storage else { return try encodeDense(weight, as: entry) }
    return try CompressedTensorsEncoding.encode(tensor.withScales(as: .float32), module: entry.module, format: .intQuantized)
  }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight { .quantized(KerasPreset.stored(tensor) ?? tensor) }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    // What is neither vector nor code has the model's type.
    let types = output.layout.entries.compactMap { if case .dense(let type) = $0.storage { type } else { nil } }
    guard Set(types).count <= 1 else {
      throw RecipeError(
        "--format keras",
        "wants one type for all weights that are not quantized; the model has \(Set(types).map(\.rawValue).sorted().joined(separator: ", "))",
        remedy: "use --format hdf5, which keeps each", kind: .usage)
    }
    let preset = try KerasPreset(
      configuration: .object(object), className: (output.model.checkpoint as? KerasCheckpoint)?.className,
      dataType: types.first ?? .float32, quantized: output.quantized.map(\.name))
    return OutputConfiguration(json: preset.configuration, files: preset.files, keras: preset)
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    guard let preset = output.configuration.keras else { throw RecipeError("--format keras", "has no preset to write", kind: .usage) }
    return try KerasWriter(
      creating: output.directory.appendingPathComponent("model.weights.h5"), preset: preset, tensors: layout.tensors)
  }
}
