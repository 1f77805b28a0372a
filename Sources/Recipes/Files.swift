import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors

/// Small files, read whole.
enum JSONFile {
  /// No configuration, recipe or report is larger; a tokenizer may be.
  static let limit = 256 << 20

  static func read(_ file: URL) throws -> JSONValue {
    try parse(TextFile.data(file, limit: limit), of: file)
  }

  static func parse(_ data: Data, of file: URL) throws -> JSONValue {
    do {
      return try data.withUnsafeBytes { bytes throws(JSONError) in try JSONValue(parsing: bytes) }
    } catch let error as JSONError {
      throw error.inFile(file.lastPathComponent)
    }
  }
}

/// Texts given by people.
package enum TextFile {
  /// The bytes of a regular file of at most `limit`.
  package static func data(_ file: URL, limit: Int = 4 << 30) throws -> Data {
    do { return Data(try WholeFile.bytes(of: file, limit: limit)) } catch {
      throw RecipeError(file.path, error.problem, remedy: error.remedy, kind: error.kind)
    }
  }

  /// The file as UTF-8 text; a byte order mark at its start is dropped.
  package static func read(_ file: URL) throws -> String { try text(data(file), of: file) }

  private static func text(_ data: Data, of file: URL) throws -> String {
    guard let text = String(validating: data, as: UTF8.self) else {
      throw RecipeError(file.path, "is not UTF-8 text", remedy: "convert it to UTF-8", kind: .badData)
    }
    return text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
  }

  /// Plain text as it is; of `.jsonl` the "text" members, a blank line between two. With the SHA-256 of the bytes that were read.
  package static func readPassages(_ file: URL) throws -> (text: String, digest: String) {
    let data = try data(file)
    var digest = ContentDigest()
    data.withUnsafeBytes { digest.update($0) }
    let text = try text(data, of: file)
    guard file.pathExtension == "jsonl" else { return (text, digest.hexadecimal()) }
    var passages: [String] = []
    // By bytes: to Swift "\r\n" is one character, and no line feed.
    for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let line = String(Substring(line))
      if line.allSatisfy(\.isWhitespace) { continue }
      func refused(_ problem: String) -> RecipeError { RecipeError("\(file.path), line \(index + 1)", problem, kind: .badData) }
      let value: JSONValue
      do { value = try JSONValue(parsing: line) } catch { throw refused("is not JSON: \(error.problem)") }
      guard let passage = value["text"]?.string else { throw refused("has no string under \"text\"") }
      passages.append(passage)
    }
    return (passages.joined(separator: "\n\n"), digest.hexadecimal())
  }
}

/// SHA-256 of files, read in pieces.
enum FileDigest {
  static func hexadecimal(of bytes: Data) -> String {
    var digest = ContentDigest()
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.hexadecimal()
  }

  /// Of the lines `<digest>  <name>` of several files, in the order of the names.
  /// - Parameter known: digests that were found out before.
  static func hexadecimal(ofFiles files: [URL], known: [URL: String] = [:]) throws -> String {
    var digest = ContentDigest()
    for file in files.sorted(by: { $0.lastPathComponent < $1.lastPathComponent }) {
      digest.update("\(try known[file] ?? hexadecimal(of: file))  \(file.lastPathComponent)\n")
    }
    return digest.hexadecimal()
  }

  static func hexadecimal(of file: URL) throws -> String {
    guard let handle = try? FileHandle(forReadingFrom: file) else {
      throw RecipeError(file.path, "cannot be read", kind: .inputOutput)
    }
    defer { try? handle.close() }
    return try hexadecimal(of: handle, named: file)
  }

  /// - Parameter file: what it is called in an error.
  static func hexadecimal(of handle: FileHandle, named file: URL) throws -> String {
    var digest = ContentDigest()
    while true {
      let piece: Data?
      do { piece = try handle.read(upToCount: 4 << 20) } catch {
        throw RecipeError(file.path, "reading failed midway: \(error.localizedDescription)", kind: .inputOutput)
      }
      guard let piece, !piece.isEmpty else { return digest.hexadecimal() }
      piece.withUnsafeBytes { digest.update($0) }
      WorkMeter.add(Double(piece.count))
      try Interruption.check()
    }
  }

  /// Files below this many bytes together are read in a moment, and need no stage of their own.
  private static let mentioned = 200_000_000

  /// Digests files with a stage of its own where there is much to read.
  static func reporting<Result>(_ files: [URL], _ stage: String, _ progress: ProgressHandler?, _ work: () throws -> Result) rethrows
    -> Result
  {
    let bytes = files.reduce(0) { $0 + ((try? FileManager.default.attributesOfItem(atPath: $1.path)[.size] as? Int) ?? 0) }
    guard bytes >= mentioned else { return try work() }
    let meter = WorkMeter(stage, costs: [Double(bytes)], progress: progress)
    meter.begin(0)
    let result = try meter.measure(work)
    meter.finish()
    return result
  }
}
