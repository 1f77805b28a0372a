import Foundation

/// Files of settings and texts, read whole.
package enum WholeFile {
  /// The bytes of a regular file of at most `limit`.
  ///
  /// A name in a directory that was downloaded may be a pipe, a device without an end, or a directory: none of them is waited for or read.
  package static func bytes(of file: URL, limit: Int) throws(CheckpointError) -> [UInt8] {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let handle = open(file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard handle >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { throw CheckpointError.missingFile(file) }
      throw CheckpointError.inputOutput(file: file, "opening", errno: errno)
    }
    defer { close(handle) }
    var status = stat()
    guard fstat(handle, &status) == 0 else { throw CheckpointError.inputOutput(file: file, "reading", errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError.malformed(file: file, "it is not a regular file", remedy: "put the file itself there")
    }
    guard let size = Int(exactly: status.st_size), size <= limit else {
      throw CheckpointError.malformed(file: file, "it has \(status.st_size) bytes, more than the \(limit) that are read")
    }
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
