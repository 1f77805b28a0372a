import Foundation

/// Reads the numbers and texts of a GGUF file from front to back, never past its end.
struct GGUFCursor {
  let bytes: UnsafeRawBufferPointer
  let file: URL
  private(set) var position = 0
  /// How many more elements the arrays of the metadata may have, all of them together.
  var elementsLeft = Self.elementsLimit
  /// The same of those that take several times their bytes in memory.
  var otherElementsLeft = Self.otherElementsLimit

  /// Bytes of a header: more than ten times what any known one has. A sparse file costs nothing to make larger than the memory.
  static let byteLimit = 1 << 28

  init(_ bytes: UnsafeRawBufferPointer, file: URL) {
    self.bytes = bytes
    self.file = file
  }

  var remaining: Int { bytes.count - position }

  func malformed(_ problem: String, tensor: String? = nil) -> CheckpointError {
    CheckpointError.malformed(file: file, tensor: tensor, problem, remedy: "it is damaged or no GGUF file: fetch it again")
  }

  private func truncated(_ what: String) -> CheckpointError {
    CheckpointError.malformed(
      file: file, "it is truncated: it ends at byte \(bytes.count), within \(what)", remedy: "fetch it again")
  }

  /// The next bytes.
  mutating func take(_ count: Int, _ what: @autoclosure () -> String) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard count <= remaining else { throw truncated(what()) }
    guard count <= Self.byteLimit - position else {
      throw malformed("its header goes on behind byte \(Self.byteLimit), within \(what()): none is as long")
    }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
  }

  /// The next number, little-endian.
  mutating func number<Number: FixedWidthInteger>(_ what: @autoclosure () -> String) throws(CheckpointError) -> Number {
    Number(littleEndian: try take(MemoryLayout<Number>.size, what()).loadUnaligned(as: Number.self))
  }

  /// A count of things that take at least `width` bytes each: more than the rest of the file can hold, or than any file has, are refused before
  /// anything is allocated for them. Where a file is sparse, its size alone bounds nothing.
  mutating func count(of width: Int, atMost limit: Int, _ what: @autoclosure () -> String) throws(CheckpointError) -> Int {
    let count: UInt64 = try number(what())
    guard let value = Int(exactly: count), value <= remaining / width else {
      throw malformed("\(what()) claims \(count) entries, more than its \(bytes.count) bytes can hold")
    }
    guard value <= limit else { throw malformed("\(what()) claims \(count) entries, of which at most \(limit) are read") }
    return value
  }

  /// A length and as many bytes.
  mutating func text(_ what: @autoclosure () -> String) throws(CheckpointError) -> UnsafeRawBufferPointer {
    let length: UInt64 = try number(what())
    guard let count = Int(exactly: length), count <= remaining else {
      throw malformed("\(what()) claims \(length) bytes, more than the \(remaining) that follow")
    }
    return try take(count, what())
  }

  /// A text that must be UTF-8.
  mutating func name(_ what: @autoclosure () -> String) throws(CheckpointError) -> String {
    guard let name = String(validating: try text(what()), as: UTF8.self) else { throw malformed("\(what()) is not UTF-8") }
    return name
  }
}
