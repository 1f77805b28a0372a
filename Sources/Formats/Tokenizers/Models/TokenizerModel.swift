import StructuredData

/// Turns words into tokens.
protocol TokenizerModel: Sendable {
  /// The number of tokens of the model itself, without added ones.
  var count: Int { get }
  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32?
  /// The bytes of a token.
  func token(for id: Int32) -> [UInt8]?
  /// Appends the tokens of a word, which is not empty.
  func tokenize(_ piece: TextPiece, with scratch: ModelScratch, into output: inout [Int32])
}

/// A model's working memory. Belongs to one encoding at a time.
final class ModelScratch {
  let words = WordCache()
  var symbols: [MergeSymbol] = []
  var queue = MergeQueue()
  var letters: [UInt8] = []
  var key: [UInt8] = []
  var result: [Int32] = []
}

extension TokenizerComponent {
  func model() throws(TokenizerError) -> any TokenizerModel {
    // Files of before the field existed are BPE when they have merges.
    let kind = try optionalString("type") ?? (value["merges"] == nil ? "without a type" : "BPE")
    switch kind {
    case "BPE": return try BytePairEncoding(self)
    case "WordPiece": return try WordPiece(self)
    default: throw unsupported("the model \"\(kind)\"", supported: "a BPE or WordPiece model")
    }
  }
}
