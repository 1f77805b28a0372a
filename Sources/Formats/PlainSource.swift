import Diagnostics
import Foundation
import StructuredData
import Tensors

/// A checkpoint whose tensors are the parameters, one each, as the model graph sees it.
public struct PlainSource: WeightSource {
  private let checkpoint: any Checkpoint

  /// Throws when the checkpoint holds pieces of quantized weights: read as they lie they would be nonsense.
  public init(checkpoint: any Checkpoint) throws(CheckpointError) {
    let pieces = [".weight_packed", ".qweight", ".weight_scale", ".weight_scale_inv", ".scales"]
    if let found = checkpoint.descriptors.first(where: { tensor in pieces.contains { tensor.name.hasSuffix($0) } }) {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: found.name), tensor: found.name,
        "it belongs to a quantized weight, but config.json has no \"quantization_config\"", remedy: "fetch the checkpoint's own config.json"
      )
    }
    self.checkpoint = checkpoint
  }

  public var names: [String] { checkpoint.descriptors.map(\.name) }

  public func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    checkpoint.descriptor(name).map { ($0.shape, .dense($0.dataType)) }
  }

  public func load(_ name: String) throws -> Weight { .dense(try checkpoint.tensor(name)) }

  public func release(_ name: String) { checkpoint.release(name) }
}

/// The weights of a checkpoint, read as its config.json says.
///
/// - Parameter configuration: the whole config.json; its `quantization_config` (or the older `compression_config`), or MLX's `quantization`,
///   chooses the encoding.
/// - Throws: `CheckpointError` for a method that is not supported, and for whatever does not fit together.
public func openWeights(checkpoint: any Checkpoint, configuration: JSONValue) throws -> any WeightSource {
  if let settings = MLXConfiguration.settings(in: configuration) {
    return try MLXSource(checkpoint: checkpoint, configuration: MLXConfiguration(parsing: settings))
  }
  for key in ["quantization_config", "compression_config"] {
    guard var settings = configuration[key], !settings.isNull else { continue }
    // Older files nest the one in the other.
    if let inner = settings["quantization_config"], inner.object != nil { settings = inner }
    let method = settings["quant_method"]?.string
    if method == "fp8" {
      let name = (configuration["dtype"] ?? configuration["torch_dtype"])?.string
      let type: DataType = name == "float32" ? .float32 : name == "float16" ? .float16 : .bfloat16
      return try FP8BlockSource(checkpoint: checkpoint, settings: settings, type: type)
    }
    if method == "gptq" || method == "awq" { return try ColumnPackedSource(checkpoint: checkpoint, settings: settings) }
    guard method == "compressed-tensors" || (method == nil && settings["config_groups"] != nil) else {
      throw CheckpointError(
        kind: .badData, subject: "config.json, \(key)",
        problem: method.map { "the quantization method \"\(CheckpointError.shortened($0))\" is not supported" }
          ?? "it names no quantization method (\"quant_method\")",
        remedy: "supported are compressed-tensors, gptq, awq, MLX's, and fp8 in blocks; or name the checkpoint that it was quantized from")
    }
    return try CompressedTensorsSource(checkpoint: checkpoint, configuration: CompressedTensorsConfiguration(parsing: settings))
  }
  if MLXSource.isRecognized(checkpoint) { return try MLXSource(checkpoint: checkpoint, configuration: MLXConfiguration()) }
  return try PlainSource(checkpoint: checkpoint)
}
