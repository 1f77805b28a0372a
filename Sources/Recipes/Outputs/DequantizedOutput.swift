import Diagnostics
import Formats
import ModelGraph
import StructuredData
import Tensors

/// safetensors with the values that codes stand for, as float32: only that holds every product of a code and a scale exactly.
struct DequantizedOutput: OutputEncoding {
  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry {
    switch weight.storage {
    case .dense(let type): return dense(weight, as: type)
    case .quantized(let scheme):
      guard scheme.activations == .none else {
        throw RecipeError(
          "--format safetensors",
          "cannot hold \(scheme.activations == .float8 ? "float8" : "int8") activations: nothing in it tells a runtime to quantize them",
          remedy: "use --format compressed-tensors, or --activations none", kind: .usage)
      }
      return dense(weight, as: .float32)
    }
  }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    try encodeDense(expected(weight, as: entry), as: entry)
  }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight { .dense(tensor.dequantized()) }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    var object = object
    if output.layout.entries.contains(where: { $0.storage == .dense(.float32) }) {
      // Loaders cast weights to the type named here.
      object["dtype"] = "float32"
      if object["torch_dtype"] != nil { object["torch_dtype"] = "float32" }
    }
    return OutputConfiguration(json: .object(object))
  }
}
