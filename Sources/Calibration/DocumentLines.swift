import Diagnostics
import StructuredData

/// The documents of a file of JSON lines.
struct DocumentLines {
  let pieces: FilePieces
  let bounds: Range<Int>
  /// No document is longer: a line is read as a whole.
  var longestLine = 64 << 20

  /// A line that holds something.
  struct Line {
    /// Where in the file it starts.
    let offset: Int
    let bytes: ArraySlice<UInt8>
  }

  private static let lineFeed = UInt8(ascii: "\n")

  /// The lines that start within a range, without their ends and without blank ones.
  func lines(startingIn range: Range<Int>) throws -> [Line] {
    let range = range.clamped(to: bounds)
    guard !range.isEmpty else { return [] }
    let isFirst = range.lowerBound == bounds.lowerBound
    // The byte before tells whether a line starts with the range.
    let base = isFirst ? range.lowerBound : range.lowerBound - 1
    var bytes = try pieces.read(base..<range.upperBound)
    guard var start = isFirst ? 0 : bytes.firstIndex(of: Self.lineFeed).map({ $0 + 1 }) else { return [] }
    var lines: [Line] = []
    let limit = range.upperBound - base
    while start < limit {
      let end = try self.end(of: start, in: &bytes, from: base)
      let content = bytes[start..<end]
      if content.contains(where: { !Self.isBlank($0) }) { lines.append(Line(offset: base + start, bytes: content)) }
      start = end + 1
    }
    return lines
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

  /// The place of the line feed that ends a line, or the end of the text; reads on as far as it takes.
  private func end(of start: Int, in bytes: inout [UInt8], from base: Int) throws -> Int {
    var searched = start
    while true {
      if let end = bytes[searched...].firstIndex(of: Self.lineFeed) { return end }
      searched = bytes.count
      let next = base + bytes.count
      if next == bounds.upperBound { return bytes.count }
      guard bytes.count - start < longestLine else {
        throw CalibrationError(
          "\(pieces.path), line \(try pieces.lineNumber(at: base + start))", "is longer than \(longestLine) bytes",
          remedy: "cut the document into several lines", kind: .badData)
      }
      try Interruption.check()
      bytes += try pieces.read(next..<min(next + max(4096, min(bytes.count, FilePieces.pieceSize)), bounds.upperBound))
    }
  }

  /// The text of a line's document, and whether it was a conversation whose messages were joined.
  func text(of line: Line) throws -> (text: String, isConversation: Bool) {
    func refused(_ problem: String, _ remedy: String = "") throws -> CalibrationError {
      CalibrationError("\(pieces.path), line \(try pieces.lineNumber(at: line.offset))", problem, remedy: remedy, kind: .badData)
    }
    let value: JSONValue
    do {
      value = try line.bytes.withUnsafeBytes { bytes throws(JSONError) in try JSONValue(parsing: bytes) }
    } catch let error as JSONError {
      throw try refused("is not JSON: \(error.problem)")
    }
    if let text = value["text"]?.string { return (text, false) }
    if let prompt = value["prompt"]?.string, let completion = value["completion"]?.string { return (prompt + completion, false) }
    if let messages = value["messages"]?.array, let texts = Self.contents(of: messages) {
      return (texts.joined(separator: "\n\n"), true)
    }
    throw try refused(
      "has no string under \"text\"", "give {\"text\": ...}, {\"prompt\": ..., \"completion\": ...} or {\"messages\": [{\"content\": ...}]}"
    )
  }

  /// What the messages of a conversation say; nil when one of them is not text.
  private static func contents(of messages: [JSONValue]) -> [String]? {
    var texts: [String] = []
    for message in messages {
      guard let text = message["content"]?.string else { return nil }
      texts.append(text)
    }
    return texts
  }
}
