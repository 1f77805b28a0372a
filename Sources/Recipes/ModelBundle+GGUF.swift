import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors

extension GGUFModel {
  /// The model that a file holds, as far as its headers tell where they are all that is there.
  init(_ file: GGUFCheckpoint) throws {
    try self.init(
      metadata: file.gguf, tensors: file.tensors.map { ($0.name, $0.dimensions) },
      rotaryDivisors: file.holdsValues ? Self.rotaryDivisors(file) : nil, extent: file.holdsValues ? .complete : .headers,
      file: file.files[0].lastPathComponent)
  }

  /// The values of the one tensor that says something of the model; nil where there is none.
  private static func rotaryDivisors(_ file: GGUFCheckpoint) throws -> [Float]? {
    let name = "rope_freqs.weight"
    guard let entry = file.entry(name) else { return nil }
    // They are read before anything says how many there should be.
    let count = entry.dimensions.reduce(1) { min($0, rotaryDivisorsLimit) * min($1, rotaryDivisorsLimit) }
    guard count <= rotaryDivisorsLimit, let values = try file.tensor(name).float32Values() else {
      throw RecipeError(
        file.files[0].lastPathComponent,
        "has a tensor \(name) of \(entry.type.name) \(Shape(entry.dimensions)), which is no list of divisors",
        remedy: "convert the model again", kind: .badData)
    }
    return values
  }

  /// Heads have at most 2^14 features that turn in pairs.
  private static let rotaryDivisorsLimit = 1 << 13

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
  /// The tokenizer in GGUF's words, and in what programs that read them will differ; nil where the model has none.
  /// - Parameter vocabularySize: rows of the embedding.
  func ggufTokenizer(vocabularySize: Int?) throws -> GGUFTokenizer.Encoded? {
    if let container = checkpoint as? GGUFCheckpoint, try Tokenizer.json(in: directory) == nil {
      var metadata = GGUFMetadata()
      for entry in container.gguf.entries where entry.key.hasPrefix("tokenizer.") { metadata[entry.key] = entry.value }
      return metadata.entries.isEmpty ? nil : GGUFTokenizer.Encoded(metadata: metadata)
    }
    if let container = checkpoint as? HDF5Checkpoint, let text = container.attributeText("tokenizer.json"),
      try Tokenizer.json(in: directory) == nil
    {
      let settings = try container.attributeText("tokenizer_config.json").map { try JSONValue(parsing: $0) } ?? .null
      return try GGUFTokenizer.encode(
        tokenizer: JSONValue(parsing: text), configuration: settings, modelConfiguration: configuration, vocabularySize: vocabularySize,
        named: "tokenizer.json")
    }
    return try GGUFTokenizer.encode(contentsOf: directory, vocabularySize: vocabularySize)
  }

  /// What was guessed of a tokenizer that comes from a GGUF file's metadata, where those leave something open.
  var tokenizerNotes: [String] {
    guard let container = checkpoint as? GGUFCheckpoint else { return [] }
    let name = container.files[0].lastPathComponent
    do {
      guard try Tokenizer.json(in: directory) == nil, let decoded = try GGUFTokenizer.decode(container.gguf, named: name) else { return [] }
      return decoded.notes.map { "the tokenizer of \(name): \($0)" }
    } catch {
      // A tokenizer that cannot be read ends what needs it, and nothing else.
      return []
    }
  }
}
