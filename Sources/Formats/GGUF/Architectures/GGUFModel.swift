import Diagnostics
import StructuredData

/// A model in the words of GGUF: what a file's metadata says of it, and how its parameters lie in the file's tensors. Nothing here touches a
/// file, and no values but those of `rope_freqs.weight`.
///
///     let model = try GGUFModel(configuration: config)                // on the way out
///     writer.metadata = model.metadata(name: "A model", fileType: 1)
///     for name in parameters { let places = try model.placements(of: name) … }
///
///     let model = try GGUFModel(metadata: file.metadata, tensors: …)  // on the way in
///     let config = model.configuration
///     for tensor in tensors { let parameters = try model.origins(of: tensor.name) … }
public struct GGUFModel: Sendable {
  private let architecture: any GGUFArchitecture
  private let map: GGUFTensorMap

  /// The architectures that can be read and written, as `general.architecture` names them.
  public static var architectures: [String] { GGUFArchitectureCatalog.architectures.map { $0.name } }
  /// Every `model_type` of config.json that can be written, sorted.
  public static var modelTypes: [String] { GGUFArchitectureCatalog.architectures.flatMap { $0.modelTypes }.sorted() }

  /// A model to be written.
  /// - Parameters:
  ///   - configuration: config.json, without regard to a quantization that it names.
  ///   - file: where errors point.
  /// - Throws: `CheckpointError` of kind `usage` for what GGUF has no words for, with the nearest that can be done.
  public init(configuration: JSONValue, file: String = "config.json") throws(CheckpointError) {
    let reader = try GGUFConfigurationReader(configuration, file: file)
    let type = try reader.text("model_type") ?? ""
    guard let architecture = GGUFArchitectureCatalog.architecture(forModelType: type) else {
      throw reader.refused(
        "model_type", "has no architecture here for \"\(CheckpointError.shortened(type))\"",
        remedy: "known are \(Self.modelTypes.joined(separator: ", ")); --format safetensors holds any model")
    }
    self.init(try architecture.init(reader))
  }

  /// A model that a file holds.
  /// - Parameters:
  ///   - metadata: all of the file's.
  ///   - tensors: all of the file's; shapes are outermost axis first, the reverse of the file's order.
  ///   - rotaryDivisors: the values of the tensor `rope_freqs.weight`, which must be given when there is one and the file has more than headers.
  ///   - extent: with `headers`, Llama 3.1's scaling stands for divisors that cannot be read, which does for a plan.
  ///   - file: where errors point.
  /// - Throws: `CheckpointError` of kind `badData` for an architecture that is not known, keys that are missing or out of range, tensors that
  ///   belong to no such model or have shapes that do not fit.
  public init(
    metadata: GGUFMetadata, tensors: [(name: String, shape: [Int])], rotaryDivisors: [Float]? = nil,
    extent: CheckpointExtent = .complete, file: String
  ) throws(CheckpointError) {
    let name = metadata.string("general.architecture") ?? ""
    guard let architecture = GGUFArchitectureCatalog.architecture(named: name) else {
      throw CheckpointError(
        kind: .badData, subject: "\(file): general.architecture",
        problem: name.isEmpty ? "is missing" : "\"\(CheckpointError.shortened(name))\" is not an architecture this version knows",
        remedy: "known are \(Self.architectures.joined(separator: ", "))")
    }
    let reader = try GGUFMetadataReader(
      metadata, architecture: name, tensors: tensors, rotaryDivisors: rotaryDivisors, extent: extent, file: file)
    self.init(try architecture.init(reader))
    for tensor in tensors {
      do {
        for origin in try map.origins(of: tensor.name) { _ = try origin.transform.parameterShape(of: tensor.shape) }
      } catch {
        throw CheckpointError(
          kind: error.kind, subject: "\(file), tensor \(CheckpointError.shortened(tensor.name))", problem: error.problem,
          remedy: error.remedy)
      }
    }
  }

  private init(_ architecture: any GGUFArchitecture) {
    self.architecture = architecture
    map = architecture.tensorMap
  }

  /// `general.architecture`.
  public var architectureName: String { type(of: architecture).name }

  /// config.json, as the project's families and other loaders of Hugging Face checkpoints read it. The type that values are kept in is not in it.
  public var configuration: JSONValue { .object(architecture.configuration) }

  /// What a user should know of programs that read the file: where they compute a little otherwise.
  public var caveats: [String] { architecture.caveats }

  /// Tensors that a file needs beside the model's parameters.
  public var synthesizedTensors: [GGUFSynthesizedTensor] { architecture.synthesizedTensors }

  /// What a file says of the model, in the reference converter's order and types. The tokenizer's keys go behind it.
  /// - Parameters:
  ///   - name: `general.name`.
  ///   - sizeLabel: `general.size_label`, as `sizeLabel(of:)` has it; nil for none.
  ///   - fileType: `general.file_type`: how most weights are stored.
  ///   - pooling: how an encoder's states become an embedding; nil where that is not said.
  public func metadata(name: String, sizeLabel: String? = nil, fileType: UInt32, pooling: GGUFPooling? = nil) -> GGUFMetadata {
    var metadata = GGUFMetadata()
    metadata["general.architecture"] = .string(architectureName)
    metadata["general.type"] = .string("model")
    metadata["general.name"] = .string(name)
    metadata["general.size_label"] = sizeLabel.map { .string($0) }
    architecture.write(to: &metadata, fileType: fileType)
    metadata["\(architectureName).\(GGUFPooling.key)"] = pooling.map { .uint32($0.rawValue) }
    metadata["general.quantization_version"] = .uint32(2)
    return metadata
  }

  /// Where a file has a parameter: in one tensor, in two (`kv_b_proj`), or nowhere, because files do without it: layers that predict further
  /// tokens, a head that is the embedding, what stands on top of an encoder.
  /// - Throws: `CheckpointError` of kind `badData` for a name that is no parameter of such a model.
  public func placements(of parameter: String) throws(CheckpointError) -> [GGUFPlacement] { try map.placements(of: parameter) }

  /// The name under which a parameter or a module of a checkpoint is read back from a file: encoders have several spellings, a file one.
  public func nameReadBack(of name: String) -> String { map.ownName(of: name) }

  /// What a tensor of a file holds: one parameter, a part of one, many of them (experts), or none (`rope_freqs.weight`).
  /// - Throws: `CheckpointError` of kind `badData` for a tensor that does not belong to such a model.
  public func origins(of tensor: String) throws(CheckpointError) -> [GGUFOrigin] { try map.origins(of: tensor) }
}
