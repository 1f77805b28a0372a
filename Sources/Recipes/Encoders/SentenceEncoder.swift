import Diagnostics
import Evaluation
import Formats
import Foundation
import StructuredData

/// How a directory's encoder makes embeddings of sentences: as sentence-transformers wrote it down, or the plain mean of all states.
struct SentenceEncoder {
  let pooling: Pooling
  /// Whether that is written down.
  private let isStated: Bool
  /// The most tokens of a sentence; nil for as many as the model has positions.
  let maximumTokens: Int?
  /// Files that belong to it, by their paths in the directory.
  let files: [String]

  private static let modules = "modules.json"
  private static let settings = ["sentence_bert_config.json", "config_sentence_transformers.json"]

  /// - Throws: modules that are not known, or lie outside the directory.
  init(in directory: CheckpointDirectory) throws {
    guard directory.contains(Self.modules) else {
      (pooling, isStated, maximumTokens, files) = (Pooling(), false, nil, [])
      return
    }
    var pooling = Pooling(mode: .first)
    var files = [Self.modules] + Self.settings.filter { directory.contains($0) }
    let list = try JSONFile.read(directory.file(Self.modules)).array ?? []
    for module in list {
      let kind = module["type"]?.string?.split(separator: ".").last.map(String.init) ?? ""
      let path = module["path"]?.string ?? ""
      guard !path.contains("/"), !path.contains("..") else {
        throw RecipeError(Self.modules, "names the path \"\(path.prefix(60))\", which leads elsewhere", remedy: "mend it", kind: .badData)
      }
      let configuration = path.isEmpty ? "" : "\(path)/config.json"
      if !configuration.isEmpty, directory.contains(configuration) { files.append(configuration) }
      switch kind {
      case "Transformer": break
      case "Pooling": pooling.mode = try Self.mode(JSONFile.read(directory.file(configuration)), configuration)
      case "Normalize": pooling.normalizes = true
      default:
        throw RecipeError(
          "\(Self.modules): \(kind)", "is a module that is not supported", remedy: "supported are Transformer, Pooling and Normalize",
          kind: .badData)
      }
    }
    self.pooling = pooling
    isStated = true
    self.files = files
    maximumTokens = try Self.maximumTokens(in: directory)
  }

  /// Of a model: as its directory says, or its GGUF file.
  /// - Throws: a pooling of a file that is not known.
  init(of model: ModelBundle) throws {
    let directory = try CheckpointDirectory(model.directory)
    guard !directory.contains(Self.modules), let file = model.checkpoint as? GGUFCheckpoint, let found = file.gguf.pooling else {
      self = try SentenceEncoder(in: directory)
      return
    }
    switch found {
    case .mean: pooling = Pooling(mode: .mean)
    case .first: pooling = Pooling(mode: .first)
    case .last:
      throw RecipeError(
        file.files[0].lastPathComponent, "pools by the last token, which is not supported",
        remedy: "supported are the first token, the mean and the largest", kind: .badData)
    }
    (isStated, maximumTokens, files) = (true, nil, [])
  }

  /// What a GGUF file is to say of a model's embeddings; nil where the model does not say it.
  /// - Returns: with it whether the model pools as no such file can say.
  static func ggufPooling(of model: ModelBundle) throws -> (pooling: GGUFPooling?, isLost: Bool) {
    let directory = try CheckpointDirectory(model.directory)
    if !directory.contains(modules), let file = model.checkpoint as? GGUFCheckpoint { return (file.gguf.pooling, false) }
    let encoder = try SentenceEncoder(in: directory)
    guard encoder.isStated else { return (nil, false) }
    switch encoder.pooling.mode {
    case .mean: return (.mean, false)
    case .first: return (.first, false)
    case .largest: return (nil, true)
    }
  }

  /// The files that say the same for an encoder whose GGUF file says it; none where that says nothing.
  static func files(of file: GGUFCheckpoint, width: Int) -> [(name: String, content: Data)] {
    guard let pooling = file.gguf.pooling else { return [] }
    let kinds = [("Transformer", ""), ("Pooling", poolingDirectory)]
    let list = kinds.enumerated().map { index, module -> JSONValue in
      [
        "idx": .integer(Int64(index)), "name": .string("\(index)"), "path": .string(module.1),
        "type": .string("sentence_transformers.models.\(module.0)"),
      ]
    }
    let settings: JSONValue = [
      "word_embedding_dimension": .integer(Int64(width)), "pooling_mode_cls_token": .bool(pooling == .first),
      "pooling_mode_mean_tokens": .bool(pooling == .mean), "pooling_mode_max_tokens": false,
      "pooling_mode_lasttoken": .bool(pooling == .last),
    ]
    return [(modules, Data(JSONValue.array(list).text().utf8)), ("\(poolingDirectory)/config.json", Data(settings.text().utf8))]
  }

  private static let poolingDirectory = "1_Pooling"

  /// Older directories say it beside the modules, newer ones in the tokenizer's settings, where a huge number stands for none.
  private static func maximumTokens(in directory: CheckpointDirectory) throws -> Int? {
    for (file, key) in [("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")] {
      guard directory.contains(file), let count = try JSONFile.read(directory.file(file))[key]?.integer, count > 1 else { continue }
      return count
    }
    return nil
  }

  private static func mode(_ json: JSONValue, _ file: String) throws -> Pooling.Mode {
    let modes: [(String, String, Pooling.Mode)] = [
      ("pooling_mode_cls_token", "cls", .first), ("pooling_mode_mean_tokens", "mean", .mean), ("pooling_mode_max_tokens", "max", .largest),
    ]
    let flags = json.object?.members.filter { $0.key.hasPrefix("pooling_mode_") && $0.value.bool == true }.map(\.key) ?? []
    if let mode = modes.first(where: { flags == [$0.0] || flags.isEmpty && json["pooling_mode"]?.string == $0.1 }) { return mode.2 }
    throw RecipeError(
      file, "pools in a way that is not supported: \((flags + [json["pooling_mode"]?.string].compactMap { $0 }).joined(separator: ", "))",
      remedy: "supported are the first token, the mean and the largest", kind: .badData)
  }
}
