import Diagnostics
import Foundation

/// How fast a disk is, found on a few megabytes.
enum DiskProbe {
  private static let byteCount = 8 << 20

  /// Bytes a second that a file is read with when the system has none of it at hand; nil where that cannot be found out: the file is too short,
  /// has holes, or the system keeps it all the same.
  static func reading(_ file: URL) -> Double? {
    #if os(Linux)
      let handle = open(file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard handle >= 0 else { return nil }
      defer { close(handle) }
      var status = stat()
      guard fstat(handle, &status) == 0, status.st_mode & S_IFMT == S_IFREG, Int(status.st_size) >= 4 * byteCount,
        Int(status.st_blocks) * 512 >= Int(status.st_size)
      else { return nil }
      let offset = Int(status.st_size) / 2 / 4096 * 4096
      guard posix_fadvise(handle, off_t(offset), off_t(byteCount), POSIX_FADV_DONTNEED) == 0 else { return nil }
      let buffer = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
      defer { buffer.deallocate() }
      let start = ContinuousClock.now
      guard pread(handle, buffer, byteCount, off_t(offset)) == byteCount else { return nil }
      return Double(byteCount) / max(1e-9, (ContinuousClock.now - start).seconds)
    #else
      return nil
    #endif
  }

  /// Bytes a second that a new file takes in a directory until they are on the disk, by one without a name that is gone at once; nil where
  /// none can be made.
  static func writing(in directory: URL) -> Double? {
    var template = Array(directory.appendingPathComponent(".probe-XXXXXX").path.utf8CString)
    let handle = mkstemp(&template)
    guard handle >= 0 else { return nil }
    unlink(template)
    defer { close(handle) }
    // Zeros could be stored as holes.
    let bytes = [UInt8](repeating: 0xA5, count: byteCount)
    let start = ContinuousClock.now
    let written = bytes.withUnsafeBytes { pwrite(handle, $0.baseAddress, $0.count, 0) }
    guard written == byteCount, fsync(handle) == 0 else { return nil }
    return Double(byteCount) / max(1e-9, (ContinuousClock.now - start).seconds)
  }
}
