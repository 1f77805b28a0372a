import CHDF5
import Tensors

/// What opening learned of one dataset, and how its elements are read.
struct HDF5Dataset: Equatable, Sendable {
  /// Absolute path in the file; every link on it is a hard one.
  let path: String
  let descriptor: TensorDescriptor
  let byteCount: Int
  /// Bytes that its elements occupy in the file.
  let storedBytes: UInt64
  /// What one chunk takes unfolded; 0 where there are none.
  let chunkBytes: Int
  let access: Access

  enum Access: Equatable, Sendable {
    /// Little-endian elements, one after the other from that byte of the file on.
    case mapped(offset: Int)
    /// The library gathers, decompresses or swaps them.
    case library(isBigEndian: Bool)
  }

  /// Examines an open dataset, and refuses it before anything is allocated for it or a byte of its elements is read.
  init(
    _ dataset: borrowing HDF5Identifier, path: String, name: String, fileSize: Int, place: HDF5Place
  ) throws(CheckpointError) {
    guard let creation = HDF5Identifier(H5Dget_create_plist(dataset.raw)) else { throw place.libraryFailure("reading its layout") }
    // Before the extent is asked for: that alone makes the library open the files behind a virtual dataset.
    let layout = H5Pget_layout(creation.raw)
    guard layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT else {
      let problem = layout == H5D_VIRTUAL ? "it is a virtual dataset, assembled from other files" : "its storage layout is unknown"
      throw place.malformed(problem, remedy: HDF5Place.selfContainedRemedy)
    }
    guard H5Pget_external_count(creation.raw) == 0 else {
      throw place.malformed("its data lies in an external file", remedy: HDF5Place.selfContainedRemedy)
    }
    let tag = try HDF5Attribute.text(of: dataset, named: "dtype", fileSize: fileSize, place: place)
    guard let type = HDF5Identifier(H5Dget_type(dataset.raw)) else { throw place.libraryFailure("reading its type") }
    let element = try HDF5ElementType(type, tag: tag, place: place)
    guard let space = HDF5Identifier(H5Dget_space(dataset.raw)) else { throw place.libraryFailure("reading its shape") }
    let shape = try Self.shape(of: space, place: place)
    descriptor = TensorDescriptor(name: name, dataType: element.dataType, shape: shape)
    guard let bytes = descriptor.byteCount else { throw place.malformed("its shape \(shape) overflows") }

    self.path = path
    byteCount = bytes
    storedBytes = H5Dget_storage_size(dataset.raw)
    let storage = HDF5StorageCheck(byteCount: bytes, storedBytes: storedBytes, fileSize: fileSize, place: place)
    switch layout {
    case H5D_CHUNKED:
      let elementSize = H5Tget_size(type.raw)
      chunkBytes = try storage.checkChunks(creation, of: shape, elementSize: elementSize)
      try HDF5Filters.check(creation, elementSize: elementSize, place: place)
      access = .library(isBigEndian: element.isBigEndian)
    case H5D_COMPACT:
      try storage.checkExact()
      chunkBytes = 0
      access = .library(isBigEndian: element.isBigEndian)
    default:
      try storage.checkExact()
      chunkBytes = 0
      let offset = try storage.checkOffset(chdf5_dataset_offset(dataset.raw))
      access = element.isBigEndian ? .library(isBigEndian: true) : .mapped(offset: offset)
    }
  }

  private static func shape(of space: borrowing HDF5Identifier, place: HDF5Place) throws(CheckpointError) -> Shape {
    switch H5Sget_simple_extent_type(space.raw) {
    case H5S_SCALAR: return []
    case H5S_SIMPLE: break
    default: throw place.malformed("it has no elements (a null dataspace)")
    }
    let rank = H5Sget_simple_extent_ndims(space.raw)
    guard (1...32).contains(rank) else { throw place.malformed("its rank \(rank) is not between 0 and 32") }
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    guard H5Sget_simple_extent_dims(space.raw, &extents, nil) == rank else { throw place.libraryFailure("reading its shape") }
    var dimensions: [Int] = []
    for extent in extents {
      guard let dimension = Int(exactly: extent) else { throw place.malformed("its dimension \(extent) overflows") }
      dimensions.append(dimension)
    }
    return Shape(dimensions)
  }
}
