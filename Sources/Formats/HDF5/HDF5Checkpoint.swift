import CHDF5
import Foundation
import StructuredData
import Tensors

/// A plain HDF5 state dict, as h5py writes it: numeric datasets in nested groups, or with dotted names, or both.
///
/// A tensor's name is its path with dots: `/model/layers/0/mlp/up_proj/weight` is `model.layers.0.mlp.up_proj.weight`.
/// Storage is contiguous, compact, or chunked with gzip, shuffle, fletcher32 or szip; big-endian elements are swapped.
/// bfloat16 is recognized as a 16-bit float type of that format, and as opaque or unsigned elements of two bytes whose
/// attribute `dtype` says `bfloat16`; unsigned elements without it are U16.
///
/// A file is not trusted. Whatever would reach outside of it (soft and external links, external and virtual storage), run code
/// (plug-in filters), loop, or allocate more than the stored bytes justify is refused when it is opened, before an element is read.
public struct HDF5Checkpoint: Checkpoint {
  public let descriptors: [TensorDescriptor]
  public let files: [URL]
  /// The string attributes of the root.
  public let metadata: [String: String]
  /// The attributes of the root that are strings, numbers, booleans or lists of these, sorted by name.
  public let attributes: JSONObject
  private let datasets: NameTable<HDF5Dataset>
  private let file: HDF5File

  /// Opens a file and reads its structure.
  public init(opening url: URL) throws(CheckpointError) { try self.init(HDF5File(opening: url)) }

  /// - Parameter archived: the member of an archive that is the HDF5 file.
  init(_ archived: StoredArchive.Member) throws(CheckpointError) { try self.init(HDF5File(archived.archive, bytes: archived.bytes)) }

  private init(_ file: HDF5File) throws(CheckpointError) {
    let url = file.url
    let place = HDF5Place(file: url)
    let fileSize = file.bytes.count
    (datasets, attributes) = try HDF5Library.locked(justified: fileSize) {
      () throws(CheckpointError) -> (NameTable<HDF5Dataset>, JSONObject) in
      guard let root = HDF5Identifier(H5Gopen2(file.identifier, "/", 0)) else { throw place.libraryFailure("opening the root group") }
      var walker = HDF5Walker(file, place: place)
      return (try walker.walk(root: root), try HDF5Attribute.all(of: root, fileSize: fileSize, place: place))
    }
    self.file = file
    files = [url]
    descriptors = datasets.entries.map(\.value.descriptor)
    metadata = Dictionary(attributes.members.compactMap { member in member.value.string.map { (member.key, $0) } }) { first, _ in first }
  }

  /// A text that travels in an attribute of the root, such as `config.json` or `tokenizer.json`; nil when there is none.
  public func attributeText(_ name: String) -> String? {
    switch attributes[name] {
    case .string(let text): text
    case .array(let elements) where elements.count == 1: elements[0].string
    default: nil
    }
  }

  public func descriptor(_ name: String) -> TensorDescriptor? { datasets[name]?.descriptor }

  public func tensor(_ name: String) throws(CheckpointError) -> Tensor {
    guard let dataset = datasets[name] else { throw .missingTensor(name, in: file.url) }
    let place = HDF5Place(file: file.url).tensor(name)
    let (type, shape) = (dataset.descriptor.dataType, dataset.descriptor.shape)
    guard case .mapped(let offset) = dataset.access else { return try read(dataset, place) }
    guard
      let tensor = Tensor(viewing: file.mapping, offset: file.offset + offset, byteCount: dataset.byteCount, dataType: type, shape: shape)
    else { throw place.malformed("it does not lie inside the file") }
    return tensor
  }

  public func release(_ name: String) {
    guard let dataset = datasets[name], case .mapped(let offset) = dataset.access else { return }
    file.mapping.advise(.doNotNeed, file.offset + offset..<file.offset + offset + dataset.byteCount)
  }

  /// Has the library gather the elements. Its own reading is exact: the memory type differs from the stored one in byte order only.
  private func read(_ expected: HDF5Dataset, _ place: HDF5Place) throws(CheckpointError) -> Tensor {
    let fileSize = file.bytes.count
    // Beside what the file has, a chunk unfolds in a buffer that doubles until it is large enough.
    let justified = max(fileSize, 2 * expected.chunkBytes)
    return try HDF5Library.locked(justified: justified) { () throws(CheckpointError) -> Tensor in
      guard let dataset = HDF5Identifier(H5Dopen2(file.identifier, expected.path, 0)),
        let type = HDF5Identifier(H5Dget_type(dataset.raw)), let memoryType = HDF5Identifier(H5Tcopy(type.raw))
      else { throw place.libraryFailure("opening the dataset") }
      // The buffer below is as large as the dataset was: make sure that it still is.
      let present = try HDF5Dataset(dataset, path: expected.path, name: expected.descriptor.name, fileSize: fileSize, place: place)
      guard present == expected else { throw place.malformed("the file changed while it was read") }
      if expected.access == .library(isBigEndian: true), H5Tset_order(memoryType.raw, H5T_ORDER_LE) < 0 {
        throw place.libraryFailure("preparing to read")
      }
      let (elements, shape) = (expected.descriptor.dataType, expected.descriptor.shape)
      if expected.chunkBytes > 0 {
        try HDF5ChunkCheck(dataset: dataset.raw, shape: shape, chunkBytes: expected.chunkBytes, fileSize: fileSize, place: place)
          .check(elementSize: H5Tget_size(type.raw))
      }
      return try Tensor(dataType: elements, shape: shape) { bytes throws(CheckpointError) in
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        guard H5Dread(dataset.raw, memoryType.raw, 0, 0, 0, start) >= 0 else { throw place.libraryFailure("reading") }
      }
    }
  }
}
