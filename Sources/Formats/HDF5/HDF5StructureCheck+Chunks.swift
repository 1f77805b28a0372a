extension HDF5StructureCheck {
  /// Chunks as the layout message has them, and the part of them that an index of version 4 depends on.
  private struct Chunks {
    /// The last extent is the size of an element.
    let extents: [Int]
    let isFiltered: Bool
    /// The library counts the places of an index in what the dataset may grow to.
    let space: Space

    /// What an index holds of each: an address; behind filters also the size, in as many bytes as the library takes for it, and which were used.
    var entrySize: Int? {
      var size: UInt32 = 1
      for extent in extents {
        let (product, overflow) = size.multipliedReportingOverflow(by: UInt32(clamping: extent))
        guard !overflow else { return nil }
        size = product
      }
      let bits = UInt32.bitWidth - 1 - size.leadingZeroBitCount
      return isFiltered ? 8 + 1 + (bits + 8) / 8 + 4 : 8
    }

    /// How many chunks the dataset has where it cannot grow further; nil when it can without end.
    var greatestCount: Int? {
      var count = 1
      for (extent, greatest) in zip(extents, space.greatest) {
        guard let greatest else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: greatest / extent + (greatest % extent > 0 ? 1 : 0))
        guard !overflow else { return nil }
        count = product
      }
      return count
    }
  }

  /// Dataspace message: the extents, and how far they may grow, nil being without end.
  private struct Space {
    var greatest: [Int?] = []

    /// Versions 1 and 2; nil when an extent is greater than it may grow to.
    init?(_ body: Range<Int>, in bytes: HDF5RawBytes) {
      guard let version = bytes.number(at: body.lowerBound, 1), (1...2).contains(version),
        let rank = bytes.number(at: body.lowerBound + 1, 1), let flags = bytes.number(at: body.lowerBound + 2, 1)
      else { return nil }
      let extents = body.lowerBound + (version == 1 ? 8 : 4)
      guard extents + rank * (flags & 1 != 0 ? 16 : 8) <= body.upperBound else { return nil }
      for position in stride(from: extents, to: extents + rank * 8, by: 8) {
        guard let extent = bytes.number(at: position, 8) else { return nil }
        // All bits set stand for no end, and fit into no Int.
        let greatest = flags & 1 != 0 ? bytes.number(at: position + rank * 8, 8) : extent
        guard extent <= greatest ?? .max else { return nil }
        self.greatest.append(greatest)
      }
    }
  }

  /// Places of an index that need not be in the file: chunks that were never written, and those that the dataset has no extent for yet.
  private static let unwrittenPlaces = 1 << 16

  /// Data layout message, versions 1 to 4: compact (class 0), contiguous (1), or chunked (2) without an extent of 0.
  func checkLayout(_ body: Range<Int>, of header: HDF5ObjectHeader, _ place: HDF5Place) throws(CheckpointError) {
    let version = bytes.number(at: body.lowerBound, 1) ?? 0
    let (classAt, rankAt, extentsAt) = version < 3 ? (2, 1, 16) : version == 3 ? (1, 2, 11) : (1, 3, 5)
    let extentLength = version < 4 ? 4 : bytes.number(at: body.lowerBound + 4, 1) ?? 0
    guard version < 5 else {
      throw place.malformed(
        "its storage layout has version \(version), which is not read", remedy: "write it with h5py's libver=\"v110\" or earlier")
    }
    guard version > 0, let layoutClass = bytes.number(at: body.lowerBound + classAt, 1) else {
      throw place.damaged("its storage layout is damaged")
    }
    switch layoutClass {
    case 0, 1:
      guard hasSoundStorage(body, version: version, layoutClass: layoutClass) else { throw place.damaged("its storage layout is damaged") }
      return
    case 2: break
    case 3: throw place.malformed("it is a virtual dataset, assembled from other files", remedy: HDF5Place.selfContainedRemedy)
    default: throw place.damaged("its storage layout is unknown")
    }
    guard let rank = bytes.number(at: body.lowerBound + rankAt, 1), (1...33).contains(rank), (1...8).contains(extentLength),
      extentsAt + rank * extentLength <= body.count
    else { throw place.damaged("the shape of its chunks is damaged") }
    let extents = (0..<rank).compactMap { bytes.number(at: body.lowerBound + extentsAt + $0 * extentLength, extentLength) }
    guard extents.count == rank, extents.allSatisfy({ $0 > 0 }) else { throw place.damaged("the shape of its chunks is damaged") }
    if version < 4 {
      // A B-tree, whose keys are a chunk's size and filters, and a position. No address, no tree.
      let tree = bytes.number(at: body.lowerBound + extentsAt - 8, 8)
      guard tree.map({ isSound(Tree(kind: 1, keySize: 8 + 8 * rank), at: $0) }) ?? true else {
        throw place.damaged("the index of its chunks is damaged")
      }
      return
    }
    let kindAt = body.lowerBound + extentsAt + rank * extentLength
    // Of what finds the chunks: a size and a mask of the single one, where it is filtered; or numbers; then an address.
    let isFilteredSingle = (bytes.number(at: body.lowerBound + 2, 1) ?? 0) & 2 != 0
    let settings = [1: isFilteredSingle ? 12 : 0, 2: 0, 3: 1, 4: 5, 5: 6]
    guard let kind = bytes.number(at: kindAt, 1), kindAt + 1 + (settings[kind] ?? 0) + 8 <= body.upperBound else {
      throw place.damaged("the index of its chunks is damaged")
    }
    try checkIndex(at: kindAt, extents: extents, of: header, place)
  }

  /// Version 4: what finds the chunks is of five kinds, of which two need no more than an address.
  private func checkIndex(
    at kindAt: Int, extents: [Int], of header: HDF5ObjectHeader, _ place: HDF5Place
  ) throws(CheckpointError) {
    let damage = place.damaged("the index of its chunks is damaged")
    guard let kind = bytes.number(at: kindAt, 1), let addressAt = [3: 2, 4: 6, 5: 7][kind],
      let address = bytes.number(at: kindAt + addressAt, 8)
    else { return }
    func messages(_ type: Int) -> [HDF5ObjectHeader.Message] { header.messages.filter { $0.type == type } }
    let spaces = messages(HDF5ObjectHeader.MessageType.dataSpace)
    let filters = messages(HDF5ObjectHeader.MessageType.filterPipeline)
    guard spaces.count == 1, filters.count <= 1, !(spaces + filters).contains(where: \.isElsewhere) else {
      throw place.malformed("its shape or its filters are not in its own header, once", remedy: "write the file again with h5py")
    }
    guard let space = Space(spaces[0].body, in: bytes), space.greatest.count == extents.count - 1 else { throw damage }
    let isFiltered = filters.contains { (bytes.number(at: $0.body.lowerBound + 1, 1) ?? 0) > 0 }
    let chunks = Chunks(extents: extents, isFiltered: isFiltered, space: space)
    guard let entrySize = chunks.entrySize else { throw place.damaged("the shape of its chunks overflows") }
    switch kind {
    case 3: guard isSoundFixedArray(at: address, of: chunks, entrySize: entrySize) else { throw damage }
    case 4:
      guard let places = places(ofExtensibleArrayAt: address, of: chunks, entrySize: entrySize) else { throw damage }
      guard places <= bytes.count / 8 + Self.unwrittenPlaces else {
        throw place.malformed(
          "the index of its chunks has \(places) places, more than the file of \(bytes.count) bytes can fill",
          remedy: HDF5StorageCheck.rewrite)
      }
    default:
      // Behind the entry stands a position.
      let records = Records(kind: isFiltered ? 11 : 10, size: entrySize + 8 * (extents.count - 1))
      guard isSoundTree(of: records, at: address) else { throw damage }
    }
  }

  /// Fixed array header: entries for all chunks that there can be, from the start. The library takes it that the one it looks for is among them, and
  /// that they are of the kind that the filters ask for.
  private func isSoundFixedArray(at array: Int, of chunks: Chunks, entrySize: Int) -> Bool {
    guard bytes.has("FAHD", at: array), bytes.number(at: array + 5, 1) == (chunks.isFiltered ? 1 : 0),
      bytes.number(at: array + 6, 1) == entrySize, bytes.number(at: array + 7, 1) == 10, let count = bytes.number(at: array + 8, 8),
      let needed = chunks.greatestCount, needed <= count
    else { return false }
    let (size, overflow) = count.multipliedReportingOverflow(by: entrySize)
    return !overflow && isPlausible(size)
  }

  /// Extensible array header: entries for the chunks up to the last one that was written, through which the library goes one by one. How its
  /// blocks grow is fixed in the library. Nil when the header is damaged.
  private func places(ofExtensibleArrayAt array: Int, of chunks: Chunks, entrySize: Int) -> Int? {
    guard bytes.has("EAHD", at: array), bytes.number(at: array + 5, 1) == (chunks.isFiltered ? 1 : 0),
      bytes.number(at: array + 6, 1) == entrySize,
      zip(7..., [32, 4, 16, 4, 10]).allSatisfy({ bytes.number(at: array + $0, 1) == $1 })
    else { return nil }
    return bytes.number(at: array + 44, 8)
  }
}
