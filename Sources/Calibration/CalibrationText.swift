import Diagnostics
import Foundation
import Tensors

/// A file of calibration text: plain UTF-8, which is one stream, or lines of JSON (`.jsonl`), each a document.
///
/// Opening it reads the file once, in pieces, for its digest and to see that all of it is UTF-8. What is drawn later is read again, and
/// only that: memory does not grow with the file.
public struct CalibrationText: Sendable {
  /// How the file's bytes are text.
  public enum Layout: Sendable, Hashable {
    /// The bytes are the text.
    case plain
    /// A JSON object in every line.
    case lines
  }

  public let file: URL
  /// By the file's ending.
  public let layout: Layout
  /// SHA-256 of the file.
  public let digest: String
  /// Where the text is in the file: all of it but a byte order mark.
  let bounds: Range<Int>

  /// Opens a text. Throws when there is no such file, when it is not UTF-8 (naming the line), or when nothing is in it.
  public init(contentsOf file: URL) throws {
    self.file = file
    switch file.pathExtension.lowercased() {
    case "jsonl": layout = .lines
    case "json":
      throw CalibrationError(
        file.path, "is one JSON document, not a text", remedy: "give plain text, or a .jsonl file with a JSON object in every line",
        kind: .usage)
    default: layout = .plain
    }
    (digest, bounds) = try Self.scan(try FilePieces(file))
  }

  private static func scan(_ pieces: FilePieces) throws -> (digest: String, bounds: Range<Int>) {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    var digest = ContentDigest()
    // A character that the last piece broke off in.
    var rest: [UInt8] = []
    var start = 0
    for offset in stride(from: 0, to: pieces.size, by: FilePieces.pieceSize) {
      try Interruption.check()
      let piece = try pieces.read(offset..<min(offset + FilePieces.pieceSize, pieces.size))
      piece.withUnsafeBytes { digest.update($0) }
      if offset == 0, piece.starts(with: mark) { start = mark.count }
      let text = rest + piece
      let whole = offset + piece.count == pieces.size ? text.count : wholeCharacters(text)
      if String(validating: text[..<whole], as: UTF8.self) == nil {
        let line = try pieces.lineNumber(at: offset - rest.count + firstFault(text[..<whole]))
        throw CalibrationError("\(pieces.path), line \(line)", "is not UTF-8 text", remedy: "convert the file to UTF-8", kind: .badData)
      }
      rest = Array(text[whole...])
    }
    guard pieces.size > start else {
      throw CalibrationError(pieces.path, "is empty", remedy: "give a text to calibrate on", kind: .badData)
    }
    return (digest.hexadecimal(), start..<pieces.size)
  }

  /// How many of the bytes are before the last character, if that one seems broken off.
  private static func wholeCharacters(_ bytes: [UInt8]) -> Int {
    // No character is longer than four bytes; a broken one lacks at least its last.
    for back in 1...3 where back <= bytes.count {
      let byte = bytes[bytes.count - back]
      if byte & 0xC0 == 0x80 { continue }
      let length = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
      return length > back ? bytes.count - back : bytes.count
    }
    return bytes.count
  }

  /// The offset of the first byte that is not UTF-8.
  private static func firstFault(_ bytes: ArraySlice<UInt8>) -> Int {
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    var offset = 0
    while true {
      switch parser.parseScalar(from: &iterator) {
      case .valid(let scalar): offset += scalar.count
      case .error, .emptyInput: return offset
      }
    }
  }
}
