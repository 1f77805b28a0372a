import Foundation

/// Files of settings and texts, read whole.
package enum WholeFile {
  /// The bytes of a regular file of at most `limit`.
  package static func bytes(of file: URL, limit: Int) throws(CheckpointError) -> [UInt8] {
    try RegularFile.read(file) { handle, size throws(CheckpointError) in
      guard size <= limit else {
        throw CheckpointError.malformed(file: file, "it has \(size) bytes, more than the \(limit) that are read")
      }
      // Of no bytes the initializer below would write the length into the empty array that all threads share.
      guard size > 0 else { return [] }
      var code: Int32 = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        while count < size {
          let read = read(handle, buffer.baseAddress.map { $0 + count }, size - count)
          if read < 0, errno == EINTR { continue }
          if read < 0 { code = errno }
          guard read > 0 else { return }
          count += read
        }
      }
      guard code == 0 else { throw CheckpointError.inputOutput(file: file, "reading", errno: code) }
      guard bytes.count == size else { throw CheckpointError.inputOutput(file: file, "it became shorter while it was read") }
      return bytes
    }
  }
}
