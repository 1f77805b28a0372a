import StructuredData

/// An architecture of GGUF files: how models of some families are said in its words, and how a file of it is a model. One file each in this
/// folder; `GGUFModel` finds the one that is needed.
protocol GGUFArchitecture: Sendable {
  /// `general.architecture`, which its keys begin with.
  static var name: String { get }
  /// The `model_type`s of config.json that are written so.
  static var modelTypes: [String] { get }
  /// Takes what a model is from its configuration.
  /// - Throws: `CheckpointError` of kind `usage` for what readers of the architecture would compute otherwise, or not at all.
  init(_ reader: GGUFConfigurationReader) throws(CheckpointError)
  /// Takes what a model is from a file's metadata and the shapes of its tensors.
  init(_ reader: GGUFMetadataReader) throws(CheckpointError)
  /// The configuration that the project's families read.
  var configuration: JSONObject { get }
  var tensorMap: GGUFTensorMap { get }
  var synthesizedTensors: [GGUFSynthesizedTensor] { get }
  /// What a user should know of programs that read the file.
  var caveats: [String] { get }
  /// Adds the architecture's keys, `general.file_type` among them, in the reference converter's order.
  func write(to metadata: inout GGUFMetadata, fileType: UInt32)
}

extension GGUFArchitecture {
  var synthesizedTensors: [GGUFSynthesizedTensor] { [] }
  var caveats: [String] { [] }
}

/// The architectures that files are read and written in. A test holds this list to the folder.
enum GGUFArchitectureCatalog {
  static let architectures: [any GGUFArchitecture.Type] = [
    BertGGUF.self, Deepseek2GGUF.self, LlamaGGUF.self, Qwen2GGUF.self, Qwen3GGUF.self, Qwen3MoeGGUF.self,
  ]

  static func architecture(forModelType type: String) -> (any GGUFArchitecture.Type)? {
    architectures.first { $0.modelTypes.contains(type) }
  }

  static func architecture(named name: String) -> (any GGUFArchitecture.Type)? { architectures.first { $0.name == name } }
}
