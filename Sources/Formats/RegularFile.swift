import Foundation

/// Files whose names were found in a directory that was downloaded.
///
/// Such a name may be a pipe, a device without an end, or a directory: none of them is waited for or read.
package enum RegularFile {
  /// Opens a regular file for reading, for as long as `body` takes.
  /// - Parameter body: gets a file descriptor, and the file's size.
  package static func read<Result>(
    _ file: URL, _ body: (_ handle: Int32, _ size: Int) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
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
    return try body(handle, Int(status.st_size))
  }
}
