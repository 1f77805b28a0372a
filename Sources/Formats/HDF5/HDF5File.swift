import CHDF5
import Foundation
import Tensors

/// An HDF5 file open for reading: a mapping of its bytes, and the library's handle for the structure in them.
final class HDF5File: @unchecked Sendable {
  let url: URL
  let mapping: MappedFile
  /// Where its bytes begin in the mapping: 0, unless it lies in an archive.
  let offset: Int
  /// Where the superblock is: addresses count from here.
  let start: Int
  /// The library's handle; used under `HDF5Library.locked` only.
  let identifier: hid_t

  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Its own bytes.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: mapping.bytes[offset..<end]) }
  private let end: Int

  convenience init(opening url: URL) throws(CheckpointError) {
    let mapping = try MappedFile(url)
    try self.init(mapping, bytes: 0..<mapping.bytes.count)
  }

  /// - Parameter range: what of the mapping is the HDF5 file.
  init(_ mapping: MappedFile, bytes range: Range<Int>) throws(CheckpointError) {
    let url = mapping.file
    self.url = url
    self.mapping = mapping
    (offset, end) = (range.lowerBound, range.upperBound)
    let bytes = UnsafeRawBufferPointer(rebasing: mapping.bytes[range])
    let place = HDF5Place(file: url)
    guard let start = Self.superblock(in: bytes) else {
      throw place.malformed("not an HDF5 file", remedy: "give a file written by h5py, Keras or another HDF5 library")
    }
    self.start = start
    let structure = HDF5StructureCheck(bytes: HDF5RawBytes(UnsafeRawBufferPointer(rebasing: bytes[start...])))
    try HDF5Superblock(in: structure.bytes, place).check(structure, fileSize: bytes.count, place)
    identifier = try HDF5Library.locked(justified: bytes.count) { () throws(CheckpointError) -> hid_t in
      guard let access = HDF5Identifier(H5Pcreate(chdf5_file_access_class())),
        chdf5_set_memory_driver(access.raw, HDF5Library.memoryDriver, bytes.baseAddress, UInt64(bytes.count)) >= 0,
        H5Pset_fclose_degree(access.raw, H5F_CLOSE_STRONG) >= 0
      else { throw place.libraryFailure("preparing to open") }
      let file = H5Fopen(url.lastPathComponent, chdf5_read_only(), access.raw)
      guard file >= 0 else { throw place.libraryFailure("opening") }
      return file
    }
  }

  deinit {
    let identifier = identifier
    HDF5Library.locked { _ = H5Fclose(identifier) }
  }

  /// The signature stands at the start, or after a user block of 512 bytes or a doubling of that.
  private static func superblock(in bytes: UnsafeRawBufferPointer) -> Int? {
    var offset = 0
    while offset <= bytes.count - signature.count {
      if bytes[offset..<offset + signature.count].elementsEqual(signature) { return offset }
      let (next, overflow) = max(offset, 256).multipliedReportingOverflow(by: 2)
      guard !overflow else { return nil }
      offset = next
    }
    return nil
  }
}
