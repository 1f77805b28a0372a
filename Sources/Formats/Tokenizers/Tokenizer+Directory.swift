import Diagnostics
import Foundation
import StructuredData

extension Tokenizer {
  /// Reads the tokenizer of a model directory, and `tokenizer_config.json` when it is there: `tokenizer.json`, or else what ``json(in:)``
  /// turns into one.
  ///
  /// Of the configuration only `add_bos_token` and `add_eos_token` count: where one is true and the post-processor does not
  /// add that token, it is added (DeepSeek's checkpoints rely on it). A false one takes nothing away: what the tokenizer.json
  /// adds, it adds.
  public init(contentsOf directory: URL) throws(TokenizerError) {
    guard let (json, file) = try Self.json(in: directory) else { throw .missing(directory.appendingPathComponent("tokenizer.json").path) }
    try self.init(json: json, named: file)
    if let configuration = try Self.read("tokenizer_config.json", in: directory) {
      apply(configuration: configuration)
    }
  }

  /// The tokenizer of a directory as a tokenizer.json says it, from the first of these that is there: `tokenizer.json`, unless it is Keras's;
  /// `tokenizer.model` of SentencePiece; KerasHub's `assets/tokenizer`, in the form of SentencePiece or of vocabulary and merges.
  /// - Returns: nil when there is none; `file` is how errors name it.
  public static func json(in directory: URL) throws(TokenizerError) -> (json: JSONValue, file: String)? {
    func path(_ name: String) -> String { directory.appendingPathComponent(name).path }
    // KerasHub calls the settings of its own classes so.
    if let json = try read("tokenizer.json", in: directory), json["class_name"] == nil || json["model"] != nil {
      return (json, path("tokenizer.json"))
    }
    for name in ["tokenizer.model", "assets/tokenizer/vocabulary.spm"] {
      guard let data = try data(name, in: directory) else { continue }
      let model = try SentencePieceModel(data, named: path(name))
      return (try model.json(), path(name))
    }
    let (vocabulary, merges) = ("assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt")
    guard let entries = try read(vocabulary, in: directory), let lines = try data(merges, in: directory) else { return nil }
    guard let text = String(validating: lines, as: UTF8.self) else { throw .malformed(path(merges), "it is not UTF-8") }
    return (try BytePairFiles(vocabulary: entries, merges: text, file: path(vocabulary)).json(), path(vocabulary))
  }

  /// No file of a tokenizer has more bytes; the largest that are published have some tens of megabytes.
  static let byteLimit = 256 << 20

  /// The bytes of a file of a model directory; nil when it does not exist.
  /// - Throws: for a link that leads out of the directory, and for what is no regular file.
  static func data(_ name: String, in directory: URL) throws(TokenizerError) -> [UInt8]? {
    do throws(CheckpointError) {
      let files = try CheckpointDirectory(directory)
      return files.contains(name) ? try WholeFile.bytes(of: files.file(name), limit: byteLimit) : nil
    } catch {
      if error.kind == .missingInput { return nil }
      throw TokenizerError(error)
    }
  }

  /// The same file as JSON.
  static func read(_ name: String, in directory: URL) throws(TokenizerError) -> JSONValue? {
    guard let data = try data(name, in: directory) else { return nil }
    let parsed: Result<JSONValue, JSONError> = data.withUnsafeBytes { bytes in
      do throws(JSONError) { return .success(try JSONValue(parsing: bytes)) } catch { return .failure(error) }
    }
    switch parsed {
    case .success(let value): return value
    case .failure(let error): throw .malformed(directory.appendingPathComponent(name).path, error.problem)
    }
  }

  /// Adds the tokens that the configuration asks for and that the post-processor leaves out.
  mutating func apply(configuration: JSONValue) {
    func wanted(_ flag: String, _ key: String) -> Int32? {
      guard configuration[flag]?.bool == true else { return nil }
      guard let token = configuration[key]?.string ?? configuration[key]?["content"]?.string else { return nil }
      return id(of: token)
    }
    let edges = encode("", addSpecialTokens: true)
    let first = wanted("add_bos_token", "bos_token").flatMap { edges.first == $0 ? nil : $0 }
    let last = wanted("add_eos_token", "eos_token").flatMap { edges.last == $0 ? nil : $0 }
    if first != nil || last != nil { postProcessors.append(EdgePostProcessor(first: first, last: last)) }
  }
}
