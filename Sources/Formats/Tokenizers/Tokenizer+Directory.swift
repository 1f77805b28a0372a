import Foundation
import StructuredData

extension Tokenizer {
  /// Reads `tokenizer.json` of a model directory, and `tokenizer_config.json` when it is there.
  ///
  /// Of the configuration only `add_bos_token` and `add_eos_token` count: where one is true and the post-processor does not
  /// add that token, it is added (DeepSeek's checkpoints rely on it). A false one takes nothing away: what the tokenizer.json
  /// adds, it adds.
  public init(contentsOf directory: URL) throws(TokenizerError) {
    let file = directory.appendingPathComponent("tokenizer.json")
    guard let json = try Self.read(file) else { throw .missing(file.path) }
    try self.init(json: json, named: file.path)
    if let configuration = try Self.read(directory.appendingPathComponent("tokenizer_config.json")) {
      apply(configuration: configuration)
    }
  }

  /// The file as JSON; nil when it does not exist.
  private static func read(_ file: URL) throws(TokenizerError) -> JSONValue? {
    let data: Data
    do { data = try Data(contentsOf: file) } catch {
      if !FileManager.default.fileExists(atPath: file.path) { return nil }
      throw .unreadable(file.path, error.localizedDescription)
    }
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
