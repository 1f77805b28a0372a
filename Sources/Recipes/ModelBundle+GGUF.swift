import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors

extension GGUFModel {
  /// The model that a file holds.
  init(_ file: GGUFCheckpoint) throws {
    let divisors = "rope_freqs.weight"
    try self.init(
      metadata: file.gguf, tensors: file.tensors.map { ($0.name, $0.dimensions) },
      rotaryDivisors: file.entry(divisors) == nil ? nil : file.tensor(divisors).float32Values(),
      file: file.files[0].lastPathComponent)
  }

  /// config.json, with the type of what is not quantized.
  func configuration(of file: GGUFCheckpoint) -> JSONValue {
    var object = configuration.object ?? [:]
    let matrices = file.tensors.filter { $0.dimensions.count > 1 }.compactMap(\.type.dataType)
    let type: DataType = matrices.contains(.bfloat16) ? .bfloat16 : matrices.contains(.float16) ? .float16 : .float32
    object["dtype"] = .string(type == .bfloat16 ? "bfloat16" : type == .float16 ? "float16" : "float32")
    return .object(object)
  }
}

extension GGUFCheckpoint {
  static let fileExtension = "gguf"

  private func decodedTokenizer() throws -> GGUFTokenizer.Decoded {
    let name = files[0].lastPathComponent
    guard let decoded = try GGUFTokenizer.decode(gguf, named: name) else {
      throw RecipeError(name, "holds no tokenizer", remedy: "put a tokenizer.json beside it", kind: .missingInput)
    }
    return decoded
  }

  /// The tokenizer in the file's metadata.
  func tokenizer() throws -> Tokenizer {
    let decoded = try decodedTokenizer()
    return try Tokenizer(json: decoded.tokenizer, named: "\(files[0].lastPathComponent): tokenizer")
  }

  /// The tokenizer as the files that other formats have beside the weights; none where the file has none.
  func tokenizerFiles() throws -> [(name: String, content: Data)] {
    guard let decoded = try GGUFTokenizer.decode(gguf, named: files[0].lastPathComponent) else { return [] }
    return [
      ("tokenizer.json", Data(decoded.tokenizer.text(pretty: false).utf8)),
      ("tokenizer_config.json", Data(JSONValue.object(decoded.configuration).text().utf8)),
    ]
  }
}

extension ModelBundle {
  /// The tokenizer in GGUF's words; nil where the model has none.
  /// - Parameter vocabularySize: rows of the embedding.
  func ggufTokenizer(vocabularySize: Int?) throws -> GGUFMetadata? {
    if let container = checkpoint as? GGUFCheckpoint, try Tokenizer.json(in: directory) == nil {
      var metadata = GGUFMetadata()
      for entry in container.gguf.entries where entry.key.hasPrefix("tokenizer.") { metadata[entry.key] = entry.value }
      return metadata
    }
    if let container = checkpoint as? HDF5Checkpoint, let text = container.attributeText("tokenizer.json"),
      try Tokenizer.json(in: directory) == nil
    {
      let settings = try container.attributeText("tokenizer_config.json").map { try JSONValue(parsing: $0) } ?? .null
      return try GGUFTokenizer.encode(
        tokenizer: JSONValue(parsing: text), configuration: settings, modelConfiguration: configuration, vocabularySize: vocabularySize,
        named: "tokenizer.json"
      ).metadata
    }
    return try GGUFTokenizer.encode(contentsOf: directory, vocabularySize: vocabularySize)?.metadata
  }
}
