import StructuredData
import Synchronization

/// A tokenizer as a Hugging Face `tokenizer.json` describes it: text to token ids and back, id for id what the tokenizers
/// library gives (0.23, whose Unicode versions it shares).
///
/// The file's `truncation` and `padding` are not applied: they are settings of a run, not of the vocabulary.
public struct Tokenizer: Sendable {
  let normalizers: [any Normalizer]
  let preTokenizers: [any PreTokenizer]
  let model: any TokenizerModel
  let decoders: [any TokenDecoder]?
  var postProcessors: [any PostProcessor]
  let added: AddedVocabulary
  let workspaces = WorkspacePool()

  /// Reads a parsed `tokenizer.json`; `file` is how errors name it.
  public init(json: JSONValue, named file: String) throws(TokenizerError) {
    let root = TokenizerComponent(json, file: file, path: "")
    guard json.object != nil else { throw root.malformed("a tokenizer must be an object") }
    if let version = root.member("version"), version.string != "1.0" {
      throw root.unsupported("this version of the format", supported: "version 1.0")
    }
    guard let model = root.component("model") else { throw root.malformed("\"model\" is missing") }
    self.model = try model.model()
    normalizers = try root.component("normalizer")?.normalizers() ?? []
    preTokenizers = Self.withoutNeedlessLetters(try root.component("pre_tokenizer")?.preTokenizers() ?? [])
    // They call one another: a hostile file must not exhaust the stack.
    guard preTokenizers.count <= Self.maximumPreTokenizers else {
      throw root.unsupported("more than \(Self.maximumPreTokenizers) pre-tokenizers", supported: "fewer")
    }
    decoders = try root.component("decoder")?.decoders()
    postProcessors = try root.component("post_processor")?.postProcessors() ?? []
    var tokens: [AddedToken] = []
    if root.member("added_tokens") != nil {
      for token in try root.list("added_tokens") { tokens.append(try AddedToken(token)) }
    }
    added = AddedVocabulary(tokens, model: self.model, normalizers: normalizers)
  }

  private static let maximumPreTokenizers = 64

  /// A ByteLevel that is last need not write its letters out.
  private static func withoutNeedlessLetters(_ preTokenizers: [any PreTokenizer]) -> [any PreTokenizer] {
    guard var last = preTokenizers.last as? ByteLevelPreTokenizer else { return preTokenizers }
    last.mapsBytes = false
    return preTokenizers.dropLast() + [last]
  }

  /// The ids of the special tokens that were added to the vocabulary, rising.
  public var specialTokens: [Int32] { added.specialIDs }

  /// How many tokens there are, added ones included.
  public var vocabularySize: Int { model.count + added.countBeyondModel }

  /// The text of a token as the vocabulary spells it (byte-level letters, `▁` for a space); nil for an id without token.
  public func token(for id: Int32) -> String? { text(of: id).map { String(decoding: $0, as: UTF8.self) } }

  /// The id of a token as the vocabulary spells it.
  public func id(of token: String) -> Int32? {
    Array(token.utf8).withUnsafeBufferPointer { added.id(of: $0) ?? model.id(of: $0) }
  }

  func text(of id: Int32) -> [UInt8]? { added.text(of: id) ?? model.token(for: id) }
}

/// Keeps the working memory of finished encodings, with its cache of words, for the next ones.
final class WorkspacePool: Sendable {
  private let idle = Mutex<[Workspace]>([])

  /// Memory that one encoding at a time works in.
  final class Workspace: @unchecked Sendable {
    // Unchecked: the pool hands a workspace to one thread at a time.
    let pattern = PatternScratch()
    let model = ModelScratch()
  }

  func withWorkspace<Result>(_ body: (Workspace) -> Result) -> Result {
    let workspace = idle.withLock { $0.popLast() } ?? Workspace()
    defer { idle.withLock { $0.append(workspace) } }
    return body(workspace)
  }
}
