import Foundation
import Synchronization

/// A file in the making: written at known offsets under a temporary name, flushed, and given its name at the end.
final class OutputFile: Sendable {
  let file: URL
  let temporary: URL
  private let handle: Int32
  private let keepsPartial: Atomic<Bool>

  /// Creates the file with its final size, under a hidden name beside its final one.
  /// - Parameter resuming: keeps what an earlier run wrote there, also under the final name.
  init(_ file: URL, byteCount: Int, resuming: Bool = false) throws(CheckpointError) {
    self.file = file
    temporary = Self.temporary(of: file)
    keepsPartial = Atomic(false)
    if resuming, access(file.path, F_OK) == 0 { _ = rename(file.path, temporary.path) }
    // Otherwise the leftover of a run that was killed is written over; a link in its place is not followed.
    handle = open(temporary.path, O_RDWR | O_CREAT | (resuming ? 0 : O_TRUNC) | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard handle >= 0 else { throw CheckpointError.cannotCreate(file: file, errno: errno) }
    guard ftruncate(handle, off_t(byteCount)) == 0 else {
      let code = errno
      close(handle)
      unlink(temporary.path)
      throw CheckpointError.inputOutput(file: file, "writing", errno: code)
    }
  }

  /// Opens the file that another process has created, to write some of it. That one gives it its name, or removes it.
  init(joining file: URL, byteCount: Int) throws(CheckpointError) {
    self.file = file
    temporary = Self.temporary(of: file)
    keepsPartial = Atomic(true)
    handle = open(temporary.path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
    guard handle >= 0 else { throw CheckpointError.inputOutput(file: file, "opening", errno: errno) }
    var status = stat()
    guard fstat(handle, &status) == 0, status.st_mode & S_IFMT == S_IFREG, Int(status.st_size) == byteCount else {
      close(handle)
      throw CheckpointError.inputOutput(file: file, "opening what another process created", errno: ESTALE)
    }
  }

  private static func temporary(of file: URL) -> URL {
    file.deletingLastPathComponent().appendingPathComponent(".\(file.lastPathComponent).partial")
  }

  /// Writes all of `bytes` at `offset`; may be called from several threads at once.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, tensor: String? = nil) throws(CheckpointError) {
    var written = 0
    while written < bytes.count {
      // In pieces that the system can begin to write out behind us.
      let slice = UnsafeRawBufferPointer(rebasing: bytes[written..<min(bytes.count, written + (8 << 20))])
      let count = pwrite(handle, slice.baseAddress, slice.count, off_t(offset + written))
      if count > 0 {
        startFlushing(offset + written, count)
        written += count
      } else if count == 0 || errno != EINTR {
        throw CheckpointError.inputOutput(file: file, tensor: tensor, "writing", errno: count == 0 ? EIO : errno)
      }
    }
  }

  /// Lets the system begin to write these bytes out, so that the flush at the end finds little left to do.
  private func startFlushing(_ offset: Int, _ count: Int) {
    #if os(Linux)
      // What is not on the disk yet stays in memory for the comparison; Linux only begins to write it.
      _ = posix_fadvise(handle, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
    #endif
  }

  /// Writes `bytes` at the start.
  func write(_ bytes: [UInt8]) throws(CheckpointError) {
    let result: Result<Void, CheckpointError> = bytes.withUnsafeBytes { buffer in
      do throws(CheckpointError) { return .success(try write(buffer, at: 0)) } catch { return .failure(error) }
    }
    try result.get()
  }

  /// Waits until the content is on the disk.
  func flush() throws(CheckpointError) {
    guard fsync(handle) == 0 else { throw CheckpointError.inputOutput(file: file, "flushing", errno: errno) }
  }

  /// Gives the file its name.
  func publish() throws(CheckpointError) {
    guard rename(temporary.path, file.path) == 0 else {
      throw CheckpointError.inputOutput(file: file, "renaming", errno: errno)
    }
  }

  /// Leaves the unfinished file where it is, for a run that resumes.
  func keepPartial() { keepsPartial.store(true, ordering: .relaxed) }

  /// Closes the file; what was neither published nor kept is removed.
  deinit {
    close(handle)
    if !keepsPartial.load(ordering: .relaxed) { unlink(temporary.path) }
  }

  /// Waits until the names in a directory are on the disk.
  static func flushDirectory(_ directory: URL) throws(CheckpointError) {
    let handle = open(directory.path, O_RDONLY | O_CLOEXEC)
    guard handle >= 0 else { throw CheckpointError.inputOutput(file: directory, "flushing", errno: errno) }
    defer { close(handle) }
    // Some file systems have nothing to flush here and say so with EINVAL.
    guard fsync(handle) == 0 || errno == EINVAL else {
      throw CheckpointError.inputOutput(file: directory, "flushing", errno: errno)
    }
  }
}
