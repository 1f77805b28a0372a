import CHDF5
import Tensors

/// Holds what a dataset declares against what the file stores for it, so that no allocation is larger than the file justifies.
struct HDF5StorageCheck {
  let byteCount: Int
  let storedBytes: UInt64
  let fileSize: Int
  let place: HDF5Place

  /// Deflate cannot compress more than 1032-fold; chunks that were never written may add this much beyond it.
  static let greatestRatio: UInt64 = 1040
  static let unwrittenAllowance = 1 << 20
  /// A chunk and its entry in the index take at least this; a few chunks may never have been written.
  static let bytesPerChunk: UInt64 = 12
  static let unwrittenChunks: UInt64 = 1 << 12
  static let rewrite = "write the file again with all its data"

  /// Contiguous and compact: exactly the declared bytes are there.
  func checkExact() throws(CheckpointError) {
    guard UInt64(byteCount) == storedBytes || byteCount == 0 else { throw mismatch }
  }

  /// Contiguous: the elements lie inside the file. Returns where they start.
  func checkOffset(_ offset: UInt64) throws(CheckpointError) -> Int {
    guard byteCount > 0 else { return 0 }
    guard let offset = Int(exactly: offset), offset <= fileSize, byteCount <= fileSize - offset else {
      throw place.malformed("its \(byteCount) bytes do not lie inside the file of \(fileSize) bytes")
    }
    return offset
  }

  /// Chunked: neither the whole nor one chunk is larger than its stored bytes can unfold to, nor are there more chunks than can be stored.
  /// Returns the bytes of one chunk.
  func checkChunks(_ creation: borrowing HDF5Identifier, of shape: Shape, elementSize: Int) throws(CheckpointError) -> Int {
    guard storedBytes <= UInt64(fileSize) else { throw mismatch }
    var extents = [hsize_t](repeating: 0, count: 32)
    let rank = H5Pget_chunk(creation.raw, 32, &extents)
    guard rank == shape.rank else { throw place.damaged("its chunks have \(rank) dimensions, and it has \(shape.rank)") }
    var chunkBytes = UInt64(elementSize)
    var chunkCount: UInt64 = 1
    for (extent, dimension) in zip(extents, shape.dimensions) {
      let (product, overflow) = chunkBytes.multipliedReportingOverflow(by: extent)
      guard !overflow, product > 0, extent > 0 else { throw place.damaged("the shape of its chunks overflows") }
      chunkBytes = product
      // At most the number of elements so far, which was found representable.
      chunkCount *= dimension > 0 ? UInt64(dimension - 1) / extent + 1 : 0
    }
    guard isJustified(UInt64(byteCount)) else { throw mismatch }
    guard isJustified(chunkBytes) else {
      throw place.malformed("its chunks take \(chunkBytes) bytes, and the file stores \(storedBytes) for all of them")
    }
    guard chunkCount <= UInt64(fileSize) / Self.bytesPerChunk + Self.unwrittenChunks else {
      throw place.malformed("it has \(chunkCount) chunks, more than the file of \(fileSize) bytes can hold", remedy: Self.rewrite)
    }
    guard let bytes = Int(exactly: chunkBytes), bytes <= Int.max / 2 else { throw place.damaged("the shape of its chunks overflows") }
    return bytes
  }

  private func isJustified(_ bytes: UInt64) -> Bool {
    // storedBytes is at most the file's size here, far from overflow.
    bytes <= UInt64(Self.unwrittenAllowance) || bytes / Self.greatestRatio <= storedBytes
  }

  private var mismatch: CheckpointError {
    place.malformed("it declares \(byteCount) bytes, and the file stores \(storedBytes) for it", remedy: Self.rewrite)
  }
}
