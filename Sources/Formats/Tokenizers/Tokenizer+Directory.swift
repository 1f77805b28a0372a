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
    if let configuration = try Self.read(directory.appendingPathComponent("tokenizer_config.json")) {
      apply(configuration: configuration)
    }
  }

  /// The tokenizer of a directory as a tokenizer.json says it, from the first of these that is there: `tokenizer.json`, unless it is Keras's;
  /// `tokenizer.model` of SentencePiece; KerasHub's `assets/tokenizer`, in the form of SentencePiece or of vocabulary and merges.
  /// - Returns: nil when there is none; `file` is how errors name it.
  public static func json(in directory: URL) throws(TokenizerError) -> (json: JSONValue, file: String)? {
    let plain = directory.appendingPathComponent("tokenizer.json")
    // KerasHub calls the settings of its own classes so.
    if let json = try read(plain), json["class_name"] == nil || json["model"] != nil { return (json, plain.path) }
    for name in ["tokenizer.model", "assets/tokenizer/vocabulary.spm"] {
      let file = directory.appendingPathComponent(name)
      guard let data = try data(file) else { continue }
      let model = try SentencePieceModel(data, named: file.path)
      return (try model.json(), file.path)
    }
    let vocabulary = directory.appendingPathComponent("assets/tokenizer/vocabulary.json")
    let merges = directory.appendingPathComponent("assets/tokenizer/merges.txt")
    guard let entries = try read(vocabulary), let lines = try data(merges) else { return nil }
    guard let text = String(validating: lines, as: UTF8.self) else { throw .malformed(merges.path, "it is not UTF-8") }
    return (try BytePairFiles(vocabulary: entries, merges: text, file: vocabulary.path).json(), vocabulary.path)
  }

  /// The file's bytes; nil when it does not exist.
  static func data(_ file: URL) throws(TokenizerError) -> [UInt8]? {
    do { return Array(try Data(contentsOf: file)) } catch {
      if !FileManager.default.fileExists(atPath: file.path) { return nil }
      throw .unreadable(file.path, error.localizedDescription)
    }
  }

  /// The file as JSON; nil when it does not exist.
  static func read(_ file: URL) throws(TokenizerError) -> JSONValue? {
    guard let data = try data(file) else { return nil }
    let parsed: Result<JSONValue, JSONError> = data.withUnsafeBytes { bytes in
      do throws(JSONError) { return .success(try JSONValue(parsing: bytes)) } catch { return .failure(error) }
    }
    switch parsed {
    case .success(let value): return value
    case .failure(let error): throw .malformed(file.path, error.problem)
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
