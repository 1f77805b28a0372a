import DeepSeekOptimize
import Foundation

/// `tokenizer.json`.
struct TokenizerTarget: FuzzTarget {
  static let name = "tokenizer"
  private let directory: URL

  init(in directory: URL) { self.directory = directory }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: directory.appendingPathComponent("tokenizer.json"))
    try Tokenizer(contentsOf: directory).tryOut()
  }
}

/// `tokenizer.model` of SentencePiece.
struct SentencePieceTarget: FuzzTarget {
  static let name = "sentencepiece"
  private let directory: URL

  init(in directory: URL) { self.directory = directory }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: directory.appendingPathComponent("tokenizer.model"))
    try Tokenizer(contentsOf: directory).tryOut()
  }
}

extension Tokenizer {
  /// Encodes texts that most rules have something to do with, and decodes ids, some of which no vocabulary has.
  func tryOut() throws {
    for text in Self.texts {
      let ids = encode(text)
      _ = decode(ids)
      var stream = makeStreamDecoder()
      for id in ids.prefix(32) { _ = stream.append(id) }
      _ = stream.finish()
    }
    _ = decode([-1, .min, .max] + (0..<64), skipSpecialTokens: false)
    for id in specialTokens.prefix(16) { _ = token(for: id).map(self.id(of:)) }
  }

  private static let texts = [
    "", " ", "Hello, world! It's 2024;  two spaces,\ttab\r\nline.", "naïve Ⅷ ﬁ 日本語 русский עברית 🧑‍🔬 e\u{301}\u{0}\u{FFFD}",
    String(repeating: "ab", count: 300), String(repeating: " \n", count: 50), "<s>[INST] <|im_start|>user</s> <0x0A> ##ing ▁the Ġthe",
  ]
}
