/// The start of an HDF5 file, read without the library, which takes the sizes that it meets there and in the first headers for granted.
///
/// HDF5 File Format Specification, version 3.0, section II: superblock versions 0 to 3.
struct HDF5Superblock {
  /// Where the root group's header is; counted from the superblock, as every address is.
  let root: Int
  /// What the file says that it has, from the superblock on or, in some, with what stands before it.
  let endOfFile: Int
  /// Where the header is of what later versions added; nil when there is none.
  private let extensionHeader: Int?
  /// The largest node of a B-tree or group, in bytes, that the superblock makes possible.
  private let nodeSize: Int

  /// A node's entries in the widest of the trees: a chunk's size and filters, 33 positions, an address.
  fileprivate static let entrySize = 8 + 33 * 8 + 8

  /// - Parameter bytes: the file from its superblock on.
  init(in bytes: HDF5RawBytes, _ place: HDF5Place) throws(CheckpointError) {
    guard let version = bytes.number(at: 8, 1), version < 4 else { throw place.damaged("the version of its superblock is unknown") }
    let sizesAt = version < 2 ? 13 : 9
    guard let offset = bytes.number(at: sizesAt, 1), let length = bytes.number(at: sizesAt + 1, 1) else { throw Self.short(place) }
    guard offset == 8, length == 8 else {
      throw place.malformed("its addresses and sizes take \(offset) and \(length) bytes; 8 are read", remedy: "write it again with h5py")
    }
    // Version 0: four addresses behind the sizes of nodes; then the root as an entry of a group, its header behind its name. Version 1 has
    // one more size, padded to four bytes. From version 2 on there are addresses only, and sizes in the extension.
    let addresses = version == 0 ? 24 : version == 1 ? 28 : 12
    guard let end = bytes.number(at: addresses + 16, 8), let root = bytes.number(at: addresses + (version < 2 ? 40 : 24), 8) else {
      throw Self.short(place)
    }
    (self.root, endOfFile) = (root, end)
    if version < 2 {
      let fanOuts = (version == 0 ? [16, 18] : [16, 18, 24]).map { bytes.number(at: $0, 2) ?? 0 }
      (nodeSize, extensionHeader) = (2 * (fanOuts.max() ?? 0) * Self.entrySize, nil)
    } else {
      // All bits set stand for no address, and fit into no Int.
      (nodeSize, extensionHeader) = (0, bytes.number(at: addresses + 8, 8))
    }
  }

  /// Throws when opening the file would make the library ask for more than the file can hold.
  func check(_ structure: HDF5StructureCheck, fileSize: Int, _ place: HDF5Place) throws(CheckpointError) {
    guard endOfFile <= fileSize else { throw place.damaged("it is truncated: it says that it has \(endOfFile) bytes, and has \(fileSize)") }
    guard structure.isPlausible(nodeSize) else { throw place.damaged("the sizes of its nodes are damaged") }
    if let extensionHeader {
      guard let header = HDF5ObjectHeader(in: structure.bytes, at: extensionHeader), header.messages.allSatisfy(structure.hasSoundExtension)
      else { throw place.damaged("the extension of its superblock is damaged") }
    }
    try structure.check(objectAt: UInt64(root), place)
  }

  private static func short(_ place: HDF5Place) -> CheckpointError { place.damaged("it is truncated: its superblock is not whole") }
}

extension HDF5StructureCheck {
  /// Sizes of nodes and blocks that the library asks for before it looks whether they are there: what the file could hold, or what costs nothing.
  func isPlausible(_ size: Int) -> Bool { size <= max(bytes.count, HDF5Library.room) }

  /// Two messages of the superblock's extension say sizes: those of B-trees' nodes, and that of a saved cache.
  fileprivate func hasSoundExtension(_ message: HDF5ObjectHeader.Message) -> Bool {
    let start = message.body.lowerBound
    switch message.type {
    case HDF5ObjectHeader.MessageType.nodeSizes:
      guard message.body.count >= 7 else { return false }
      return [1, 3, 5].allSatisfy { isPlausible(2 * (bytes.number(at: start + $0, 2) ?? 0) * HDF5Superblock.entrySize) }
    case HDF5ObjectHeader.MessageType.cacheImage:
      // Without an address there is no image.
      guard message.body.count >= 17 else { return false }
      guard let address = bytes.number(at: start + 1, 8) else { return true }
      return bytes.number(at: start + 9, 8).flatMap { bytes.range(at: address, $0) } != nil
    default: return true
    }
  }
}
