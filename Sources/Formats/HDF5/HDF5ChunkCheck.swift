import CHDF5
import Tensors

/// Finds out what every chunk of a dataset unfolds to. The library takes it that each is as large as the layout says, and reads on behind those that
/// are not: where a filter is left out, or compressed bytes end early.
struct HDF5ChunkCheck {
  let dataset: hid_t
  let shape: Shape
  /// What a chunk takes unfolded.
  let chunkBytes: Int
  let fileSize: Int
  let place: HDF5Place

  /// - Throws: when a chunk is damaged, or unfolds to another size.
  func check(elementSize: Int) throws(CheckpointError) {
    guard let creation = HDF5Identifier(H5Dget_create_plist(dataset)) else { throw place.libraryFailure("reading its layout") }
    let filters = try HDF5Filters.check(creation, elementSize: elementSize, place: place)
    var extents = [hsize_t](repeating: 0, count: 32)
    guard H5Pget_chunk(creation.raw, 32, &extents) == shape.rank else { throw place.libraryFailure("reading the shape of its chunks") }
    guard !shape.dimensions.contains(0) else { return }
    var bytes: [UInt8] = []
    var position = [hsize_t](repeating: 0, count: shape.rank)
    repeat { try checkChunk(at: position, filters, &bytes) } while advance(&position, by: extents)
  }

  /// To the next chunk; false behind the last.
  private func advance(_ position: inout [hsize_t], by extents: [hsize_t]) -> Bool {
    for axis in position.indices.reversed() {
      let (next, overflow) = position[axis].addingReportingOverflow(extents[axis])
      if !overflow, next < hsize_t(shape.dimensions[axis]) {
        position[axis] = next
        return true
      }
      position[axis] = 0
    }
    return false
  }

  private func checkChunk(at position: [hsize_t], _ filters: [H5Z_filter_t], _ bytes: inout [UInt8]) throws(CheckpointError) {
    var (mask, address, size): (UInt32, haddr_t, hsize_t) = (0, 0, 0)
    guard H5Dget_chunk_info_by_coord(dataset, position, &mask, &address, &size) >= 0 else {
      throw place.libraryFailure("looking for a chunk")
    }
    // Never written: it is all fill values.
    guard address != haddr_t.max else { return }
    guard size <= hsize_t(fileSize) else { throw damage }
    // A bit for each filter that this chunk did not go through.
    let active = filters.enumerated().filter { mask >> UInt32($0.offset) & 1 == 0 }.map(\.element)
    var count = Int(size)
    var expected = chunkBytes
    // A checksum of four bytes, under what compresses or around it.
    let compressor = active.firstIndex { $0 == HDF5Filters.deflate || $0 == HDF5Filters.szip }
    if let checksum = active.firstIndex(of: HDF5Filters.fletcher32) {
      if let compressor, checksum < compressor { expected += 4 } else { count -= 4 }
    }
    guard count >= 0 else { throw damage }
    guard let compressor else {
      guard count == expected else { throw damage }
      return
    }
    if bytes.count < Int(size) { bytes = [UInt8](repeating: 0, count: Int(size)) }
    guard H5Dread_chunk(dataset, 0, position, &mask, &bytes) >= 0 else { throw place.libraryFailure("reading a chunk") }
    let unfolded: Int64
    if active[compressor] == HDF5Filters.deflate {
      unfolded = bytes.withUnsafeBytes { chdf5_inflated_size($0.baseAddress, count, UInt64(expected)) }
    } else {
      // What szip unfolds to is written before it.
      unfolded = count < 4 ? -1 : (0..<4).reduce(0) { $0 | Int64(bytes[$1]) << (8 * $1) }
    }
    guard unfolded == Int64(expected) else { throw damage }
  }

  private var damage: CheckpointError { place.damaged("a chunk does not unfold to \(chunkBytes) bytes") }
}
