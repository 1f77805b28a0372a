import Diagnostics
import Foundation

/// Reads the lines of a file one after another, in pieces: memory does not grow with the file.
struct TextLines {
  let path: String
  /// The number of the last line that was given, from 1.
  private(set) var number = 0
  private let handle: FileHandle
  private var buffer: [UInt8] = []
  private var position = 0
  private var isAtEnd = false

  static let pieceSize = 1 << 20
  /// No line is longer: it is held as a whole.
  static let longestLine = 64 << 20

  init(_ file: URL) throws(TrainingError) {
    path = file.path
    let target = file.resolvingSymlinksInPath()
    let type = (try? FileManager.default.attributesOfItem(atPath: target.path))?[.type] as? FileAttributeType
    guard let type else { throw TrainingError(path, "there is no such file", remedy: "check the path", kind: .missingInput) }
    guard type == .typeRegular else {
      throw TrainingError(path, "is no regular file", remedy: "give a .txt or .jsonl file", kind: .missingInput)
    }
    do { handle = try FileHandle(forReadingFrom: target) } catch {
      throw TrainingError(path, "cannot be read", remedy: "check its permissions", kind: .inputOutput)
    }
    try fill()
    // A byte order mark is no text.
    if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  /// How errors name the line that was given last.
  var place: String { "\(path), line \(number)" }

  private mutating func fill() throws(TrainingError) {
    do {
      buffer.removeFirst(position)
      position = 0
      if let part = try handle.read(upToCount: Self.pieceSize), !part.isEmpty { buffer += part } else { isAtEnd = true }
    } catch {
      throw TrainingError(path, "reading failed midway: \(error.localizedDescription)", kind: .inputOutput)
    }
  }

  /// The next line with its end, nil after the last.
  mutating func next() throws -> ArraySlice<UInt8>? {
    var searched = position
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { position = end + 1 }
        number += 1
        return buffer[position...end]
      }
      if isAtEnd {
        guard position < buffer.count else { return nil }
        defer { position = buffer.count }
        number += 1
        return buffer[position...]
      }
      guard buffer.count - position < Self.longestLine else {
        throw TrainingError(
          "\(path), line \(number + 1)", "is longer than \(Self.longestLine) bytes", remedy: "cut the document into several lines")
      }
      try Interruption.check()
      searched = buffer.count - position
      try fill()
    }
  }

  func close() { try? handle.close() }

  /// Whether a line says nothing: spaces, tabs and the line's end only, as in calibration texts.
  static func isBlank(_ line: ArraySlice<UInt8>) -> Bool { line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A } }
}
