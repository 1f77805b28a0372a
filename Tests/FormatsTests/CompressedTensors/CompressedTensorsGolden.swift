import Formats
import Foundation
import StructuredData
import Tensors
import Testing

/// What compressed-tensors made of random weights (`make-compressed-tensors-fixtures.py`).
struct CompressedTensorsGolden {
  struct Module {
    let name: String
    let scheme: QuantizationScheme
    let format: CompressedTensorsFormat
    let parts: [String]
  }

  let document: JSONValue
  let tensors: SafeTensorsFile

  init() throws {
    func fixture(_ type: String) throws -> URL {
      try #require(Bundle.module.url(forResource: "golden", withExtension: type, subdirectory: "CompressedTensorsFixtures"))
    }
    document = try JSONValue(parsing: String(contentsOf: fixture("json"), encoding: .utf8))
    tensors = try SafeTensorsFile(fixture("safetensors"))
  }

  func list(_ key: String) throws -> [JSONValue] { try #require(document[key]?.array) }

  func modules() throws -> [Module] {
    try list("modules").map { value in
      let group = try #require(value["group"]?.integer)
      return Module(
        name: try #require(value["name"]?.string),
        scheme: QuantizationScheme(
          bits: try #require(value["bits"]?.integer), symmetric: try #require(value["symmetric"]?.bool as Bool?),
          granularity: group == 0 ? .channel : .group(group),
          activations: value["static"]?.bool == true ? .int8Static : value["int8"]?.bool == true ? .int8 : .none),
        format: try #require(value["format"]?.string.flatMap(CompressedTensorsFormat.init(rawValue:))),
        parts: try #require(value["parts"]?.array).compactMap(\.string))
    }
  }

  /// The canonical tensor of a module's codes, scales and zero points.
  func quantized(_ module: Module) throws -> QuantizedTensor {
    let bytes = try tensors.tensor("\(module.name).q")
    let codes = try #require(CodePacking.packed(signedBytes: bytes, bits: module.scheme.bits))
    let scales = try tensors.tensor("\(module.name).s")
    let zeroPoints = module.scheme.symmetric ? nil : try tensors.tensor("\(module.name).z")
    let inputScale =
      module.scheme.activations == .int8Static ? try tensors.tensor("\(module.name).input_scale").float32Values()?.first : nil
    return try #require(
      QuantizedTensor(
        scheme: module.scheme, shape: bytes.shape, codes: codes, scales: scales, zeroPoints: zeroPoints, inputScale: inputScale))
  }
}

/// A float32 tensor of these values.
func floats(_ values: [Float], _ shape: Shape) -> Tensor { Tensor(values, shape: shape) }

/// A checkpoint in memory.
struct MemoryCheckpoint: Checkpoint {
  var tensors: [String: Tensor] = [:]
  let files = [URL(fileURLWithPath: "/memory/model.safetensors")]
  let metadata: [String: String] = [:]
  var holdsValues = true
  /// Told what is let go.
  var released: @Sendable (String) -> Void = { _ in }

  func release(_ name: String) { released(name) }
  var descriptors: [TensorDescriptor] { tensors.keys.sorted().compactMap(descriptor) }
  func descriptor(_ name: String) -> TensorDescriptor? {
    tensors[name].map { TensorDescriptor(name: name, dataType: $0.dataType, shape: $0.shape) }
  }
  func tensor(_ name: String) throws(CheckpointError) -> Tensor {
    guard let tensor = tensors[name] else { throw CheckpointError.missingTensor(name, in: files[0]) }
    return tensor
  }
}
