import Foundation
import Tensors

/// A file mapped for reading; it stays mapped for as long as a tensor looks into it.
///
/// Pages are read on first touch. The size is checked once, when the file is opened: when another process truncates it afterwards,
/// touching the lost pages raises SIGBUS (`MappedRanges` makes a message of it), and when it rewrites the file in place, the values change
/// underneath. Replacing a checkpoint by renaming a new file over it is safe, for the mapping keeps the old one.
package final class MappedFile: TensorStorage, @unchecked Sendable {
  package let file: URL
  private let mappedBytes: Int

  /// Maps a regular file that is not empty.
  package init(_ file: URL) throws(CheckpointError) {
    let (base, size, total) = try RegularFile.read(file) { handle, size throws(CheckpointError) in
      guard size > 0 else { throw CheckpointError.malformed(file: file, "it is empty") }
      return try Self.map(handle, size, of: file)
    }
    self.file = file
    mappedBytes = total
    super.init(bytes: UnsafeRawBufferPointer(start: base, count: size))
    MappedRanges.add(bytes, of: file.path)
  }

  /// Kernels may read one vector past the last element, so an empty page follows the file: both are reserved, then the file is laid over the start.
  private static func map(
    _ handle: Int32, _ size: Int, of file: URL
  ) throws(CheckpointError) -> (base: UnsafeMutableRawPointer, size: Int, total: Int) {
    let total = (size + pageSize - 1) / pageSize * pageSize + pageSize
    let reserved = mmap(nil, total, PROT_READ, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard let base = reserved, base != UnsafeMutableRawPointer(bitPattern: -1) else {
      throw CheckpointError.inputOutput(file: file, "mapping", errno: errno)
    }
    guard mmap(base, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, handle, 0) == base else {
      let code = errno
      munmap(base, total)
      throw CheckpointError.inputOutput(file: file, "mapping", errno: code)
    }
    return (base, size, total)
  }

  deinit {
    MappedRanges.remove(bytes)
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), mappedBytes) }
  }

  package enum Advice {
    /// It will be read soon: start reading ahead.
    case willNeed
    /// It will not be read soon: give the pages back. Their content is read again from the file when it is touched after all.
    case doNotNeed
  }

  /// Passes a hint on the bytes of `range` to the system; only whole pages are given back.
  package func advise(_ advice: Advice, _ range: Range<Int>) {
    guard let base = bytes.baseAddress else { return }
    let page = Self.pageSize
    let clamped = range.clamped(to: 0..<bytes.count)
    switch advice {
    case .willNeed:
      let start = clamped.lowerBound / page * page
      madvise(UnsafeMutableRawPointer(mutating: base + start), clamped.upperBound - start, MADV_WILLNEED)
    case .doNotNeed:
      let start = (clamped.lowerBound + page - 1) / page * page
      let end = clamped.upperBound == bytes.count ? bytes.count : clamped.upperBound / page * page
      if start < end { madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, MADV_DONTNEED) }
    }
  }

  private static let pageSize = max(Int(sysconf(Int32(_SC_PAGESIZE))), 4096)
}
