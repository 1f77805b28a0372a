import Diagnostics
import Foundation

/// A file that is read a piece at a time and never as a whole.
final class FilePieces {
  let path: String
  let size: Int
  /// What was read so far, all pieces together.
  private(set) var bytesRead = 0
  /// The largest piece that was read at once.
  private(set) var largestPiece = 0
  private let handle: FileHandle

  init(_ file: URL) throws(CalibrationError) {
    path = file.path
    let target = file.resolvingSymlinksInPath()
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: target.path, isDirectory: &isDirectory) else {
      throw CalibrationError(path, "there is no such file", remedy: "check the path", kind: .missingInput)
    }
    let type = (try? FileManager.default.attributesOfItem(atPath: target.path))?[.type] as? FileAttributeType
    guard !isDirectory.boolValue, type == .typeRegular else {
      throw CalibrationError(path, "is no regular file", remedy: "give a .txt or .jsonl file", kind: .missingInput)
    }
    do {
      handle = try FileHandle(forReadingFrom: target)
      size = Int(clamping: try handle.seekToEnd())
    } catch {
      throw CalibrationError(path, "cannot be read", remedy: "check its permissions", kind: .inputOutput)
    }
  }

  deinit { try? handle.close() }

  /// The bytes of a range within the file.
  func read(_ range: Range<Int>) throws(CalibrationError) -> [UInt8] {
    guard !range.isEmpty else { return [] }
    var bytes: [UInt8] = []
    do {
      try handle.seek(toOffset: UInt64(range.lowerBound))
      while bytes.count < range.count, let part = try handle.read(upToCount: range.count - bytes.count), !part.isEmpty {
        if bytes.isEmpty { bytes = Array(part) } else { bytes += part }
      }
    } catch {
      throw CalibrationError(path, "reading failed midway: \(error.localizedDescription)", kind: .inputOutput)
    }
    guard bytes.count == range.count else {
      throw CalibrationError(path, "became shorter while it was read", remedy: "run again when it is complete", kind: .inputOutput)
    }
    bytesRead += bytes.count
    largestPiece = max(largestPiece, bytes.count)
    return bytes
  }

  /// The number, from 1, of the line that holds the byte at an offset. Reads the file up to there.
  func lineNumber(at offset: Int) throws(CalibrationError) -> Int {
    var line = 1
    for start in stride(from: 0, to: offset, by: Self.pieceSize) {
      for byte in try read(start..<min(start + Self.pieceSize, offset)) where byte == UInt8(ascii: "\n") { line += 1 }
    }
    return line
  }

  /// How much is read at once where the whole file is gone through.
  static let pieceSize = 1 << 20
}
