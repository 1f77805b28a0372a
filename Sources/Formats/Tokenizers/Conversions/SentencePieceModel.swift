import Foundation
import StructuredData

/// A model of SentencePiece (`tokenizer.model`, KerasHub's `vocabulary.spm`), turned into the tokenizer.json that says the same.
///
/// Read are byte-pair models, with or without byte fallback, whose normalization leaves text as it is: those of Llama 1 and 2, Mistral and
/// what derives from them. The file is a Protocol Buffers message; fields are numbered as in SentencePiece's `sentencepiece_model.proto`.
struct SentencePieceModel {
  /// What a piece is.
  enum Kind: Int {
    case normal = 1
    case unknown, control, userDefined, unused, byte
  }

  struct Piece {
    var text = ""
    var score: Float = 0
    var kind = Kind.normal
  }

  private var pieces: [Piece] = []
  private var fallsBackToBytes = false
  private var addsPrefix = true
  /// The parts that every model has beside its pieces: without them a file was cut short.
  private var parts: Set<Int> = []
  private let file: String

  static let greatestPieceLength = 1024
  private static let greatestPieceCount = 1 << 22
  /// Ways to put pieces together: the largest vocabularies have half a million. Long pieces that are made of one another have thousands each.
  private static let greatestMergeCount = 1 << 20

  /// A model whose pieces are known.
  init(_ pieces: [Piece], fallsBackToBytes: Bool, addsPrefix: Bool, named file: String) {
    self.pieces = pieces
    self.fallsBackToBytes = fallsBackToBytes
    self.addsPrefix = addsPrefix
    self.file = file
  }

  init(_ model: [UInt8], named file: String) throws(TokenizerError) {
    self.file = file
    let result: Result<Void, TokenizerError> = model.withUnsafeBytes { bytes in
      do throws(TokenizerError) { return .success(try read(bytes)) } catch { return .failure(error) }
    }
    try result.get()
    guard !pieces.isEmpty, parts == [2, 3] else { throw .malformed(file, "it is incomplete, or no model of SentencePiece") }
  }

  private mutating func read(_ bytes: UnsafeRawBufferPointer) throws(TokenizerError) {
    var message = ProtocolBufferReader(bytes, file: file)
    while let field = try message.next() {
      if field.number == 2 || field.number == 3 { parts.insert(field.number) }
      switch (field.number, field.content) {
      case (1, .bytes(let body)):
        guard pieces.count < Self.greatestPieceCount else { throw .malformed(file, "it holds more pieces than any tokenizer") }
        pieces.append(try Self.piece(body, file: file))
      case (2, .bytes(let body)): try readTrainer(body)
      case (3, .bytes(let body)): try readNormalizer(body)
      default: break
      }
    }
  }

  private static func piece(_ body: UnsafeRawBufferPointer, file: String) throws(TokenizerError) -> Piece {
    var piece = Piece()
    var message = ProtocolBufferReader(body, file: file)
    while let field = try message.next() {
      switch (field.number, field.content) {
      case (1, .bytes(let text)):
        guard let text = String(validating: text, as: UTF8.self) else { throw .malformed(file, "a piece is not UTF-8") }
        piece.text = text
      case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .number(let value)):
        guard let kind = Int(exactly: value).flatMap(Kind.init(rawValue:)) else { throw .malformed(file, "a piece is of an unknown kind") }
        piece.kind = kind
      default: break
      }
    }
    guard piece.score.isFinite, !piece.text.isEmpty else { throw .malformed(file, "a piece has no text, or a score that is no number") }
    // Cutting a piece in all ways takes time with the square of its length.
    guard piece.text.utf8.count <= greatestPieceLength else { throw .malformed(file, "a piece has \(piece.text.utf8.count) bytes") }
    guard piece.kind != .userDefined else {
      throw .unsupported(
        file, at: "pieces", "the user-defined piece \(CheckpointError.shortened(piece.text))",
        supported: "pieces that were learned; or take the tokenizer.json of the model")
    }
    return piece
  }

  private mutating func readTrainer(_ body: UnsafeRawBufferPointer) throws(TokenizerError) {
    // Without a type a model is a unigram one.
    var type: UInt64 = 1
    var putsSpacesLast = false
    var message = ProtocolBufferReader(body, file: file)
    while let field = try message.next() {
      switch (field.number, field.content) {
      case (3, .number(let value)): type = value
      case (24, .number(let value)): putsSpacesLast = value != 0
      case (35, .number(let value)): fallsBackToBytes = value != 0
      default: break
      }
    }
    guard !putsSpacesLast else {
      throw .unsupported(file, at: "trainer_spec.treat_whitespace_as_suffix", "a space behind words", supported: "one in front of them")
    }
    guard type == 2 else {
      throw .unsupported(
        file, at: "trainer_spec.model_type", "a model other than byte pairs", supported: "byte pairs, or its tokenizer.json")
    }
  }

  private mutating func readNormalizer(_ body: UnsafeRawBufferPointer) throws(TokenizerError) {
    // Unless it says otherwise, a model strips and joins spaces, and begins with one.
    var removesSpaces = true
    var hasMap = false
    var escapesSpaces = true
    var message = ProtocolBufferReader(body, file: file)
    while let field = try message.next() {
      switch (field.number, field.content) {
      case (2, .bytes(let map)): hasMap = !map.isEmpty
      case (3, .number(let value)): addsPrefix = value != 0
      case (4, .number(let value)): removesSpaces = value != 0
      case (5, .number(let value)): escapesSpaces = value != 0
      default: break
      }
    }
    guard !removesSpaces, !hasMap, escapesSpaces else {
      throw .unsupported(
        file, at: "normalizer_spec", "normalization", supported: "text as it is; or take the tokenizer.json of the model")
    }
  }

  /// The same tokenizer as a `tokenizer.json`.
  func json() throws(TokenizerError) -> JSONValue {
    var vocabulary = JSONObject()
    var added: [JSONValue] = []
    for (id, piece) in pieces.enumerated() {
      guard vocabulary[piece.text] == nil else { throw .malformed(file, "two pieces are alike") }
      vocabulary[piece.text] = .integer(Int64(id))
      guard [.unknown, .control, .userDefined].contains(piece.kind) else { continue }
      added.append([
        "id": .integer(Int64(id)), "content": .string(piece.text), "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": .bool(piece.kind != .userDefined),
      ])
    }
    let unknown = pieces.first { $0.kind == .unknown }.map { JSONValue.string($0.text) } ?? .null
    var normalizers: [JSONValue] = addsPrefix ? [["type": "Prepend", "prepend": "▁"]] : []
    normalizers.append(["type": "Replace", "pattern": ["String": " "], "content": "▁"])
    var decoders: [JSONValue] = [
      ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"], ["type": "Fuse"],
    ]
    if addsPrefix { decoders.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    return [
      "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": .array(added),
      "normalizer": ["type": "Sequence", "normalizers": .array(normalizers)], "pre_tokenizer": .null, "post_processor": beginning(),
      "decoder": ["type": "Sequence", "decoders": .array(decoders)],
      "model": [
        "type": "BPE", "dropout": .null, "unk_token": unknown, "continuing_subword_prefix": .null, "end_of_word_suffix": .null,
        "fuse_unk": true, "byte_fallback": .bool(fallsBackToBytes), "ignore_merges": false, "vocab": .object(vocabulary),
        "merges": .array(try merges()),
      ],
    ]
  }

  /// Models that are trained with a beginning of text call it `<s>`; what uses them puts it in front.
  private func beginning() -> JSONValue {
    guard let id = pieces.firstIndex(where: { $0.kind == .control && $0.text == "<s>" }) else { return .null }
    return [
      "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
      "pair": [
        ["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]],
        ["SpecialToken": ["id": "<s>", "type_id": 1]], ["Sequence": ["id": "B", "type_id": 1]],
      ],
      "special_tokens": ["<s>": ["id": "<s>", "ids": [.integer(Int64(id))], "tokens": ["<s>"]]],
    ]
  }

  /// Every way to put a piece together from two, the likelier piece first: what SentencePiece does by scores, as ranks. Among pieces that are
  /// equally likely, what grows a longer one goes first, as in transformers: SentencePiece takes the leftmost of them.
  private func merges() throws(TokenizerError) -> [JSONValue] {
    // By bytes: Swift would take the composed and the decomposed form of a letter for one.
    var ids: [[UInt8]: Int] = [:]
    for (id, piece) in pieces.enumerated() { ids[Array(piece.text.utf8)] = id }
    var pairs: [(score: Float, left: Int, right: Int, lengths: (Int, Int))] = []
    for piece in pieces where piece.kind == .normal {
      let scalars = piece.text.unicodeScalars
      let count = scalars.count
      for (length, cut) in scalars.indices.enumerated().dropFirst() {
        let (left, right) = (Array(String(scalars[..<cut]).utf8), Array(String(scalars[cut...]).utf8))
        if let left = ids[left], let right = ids[right] { pairs.append((piece.score, left, right, (length, count - length))) }
      }
      guard pairs.count <= Self.greatestMergeCount else {
        throw .malformed(file, "its pieces can be put together in more than \(Self.greatestMergeCount) ways")
      }
    }
    pairs.sort { first, second in
      let (one, other) = (first.lengths, second.lengths)
      return (second.score, other.0, other.1, first.left, first.right) < (first.score, one.0, one.1, second.left, second.right)
    }
    return pairs.map { [.string(pieces[$0.left].text), .string(pieces[$0.right].text)] }
  }
}
