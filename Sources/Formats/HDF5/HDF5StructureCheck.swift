/// Looks at the structures that HDF5 1.10 decodes carelessly, before it does: damaged ones make it divide by zero or write out of bounds.
struct HDF5StructureCheck {
  /// The file from its superblock on.
  let bytes: HDF5RawBytes

  /// Throws when something is wrong with the object whose header is there.
  func check(objectAt address: UInt64, _ place: HDF5Place) throws(CheckpointError) {
    guard let address = Int(exactly: address), let header = HDF5ObjectHeader(in: bytes, at: address) else {
      throw place.damaged("its header is damaged")
    }
    for message in header.messages {
      switch message.type {
      case HDF5ObjectHeader.MessageType.externalFiles:
        throw place.malformed("its data lies in an external file", remedy: HDF5Place.selfContainedRemedy)
      case HDF5ObjectHeader.MessageType.dataLayout: try checkLayout(message.body, place)
      case HDF5ObjectHeader.MessageType.link where !isSoundLink(message.body):
        throw place.damaged("a link in this group is damaged")
      case HDF5ObjectHeader.MessageType.symbolTable where !hasSoundNames(message.body):
        throw place.damaged("the names in this group are damaged")
      case HDF5ObjectHeader.MessageType.filterPipeline where !hasSoundFilters(message.body):
        throw place.damaged("its filters are damaged")
      case HDF5ObjectHeader.MessageType.attribute where !hasSoundStrings(message.body):
        throw place.damaged("an attribute of it is damaged")
      case HDF5ObjectHeader.MessageType.dataType where !message.isElsewhere && !hasSoundType(message.body):
        throw place.damaged("its type is damaged")
      case HDF5ObjectHeader.MessageType.linkInfo where !hasSoundHeap(message.body, indexLength: 8),
        HDF5ObjectHeader.MessageType.attributeInfo where !hasSoundHeap(message.body, indexLength: 2):
        throw place.damaged("the heap of its names is damaged")
      default: break
      }
    }
  }

  /// Data layout message, versions 1 to 4: compact (class 0), contiguous (1), or chunked (2) without an extent of 0.
  private func checkLayout(_ body: Range<Int>, _ place: HDF5Place) throws(CheckpointError) {
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
    case 0, 1: return
    case 2: break
    case 3: throw place.malformed("it is a virtual dataset, assembled from other files", remedy: HDF5Place.selfContainedRemedy)
    default: throw place.damaged("its storage layout is unknown")
    }
    guard let rank = bytes.number(at: body.lowerBound + rankAt, 1), (1...33).contains(rank), (1...8).contains(extentLength),
      extentsAt + rank * extentLength <= body.count,
      (0..<rank).allSatisfy({ index in
        bytes.number(at: body.lowerBound + extentsAt + index * extentLength, extentLength).map { $0 > 0 } ?? false
      })
    else { throw place.damaged("the shape of its chunks is damaged") }
    guard hasSoundIndex(body, version: version, rank: rank, extentsAt: extentsAt, extentLength: extentLength) else {
      throw place.damaged("the index of its chunks is damaged")
    }
  }

  /// What finds the chunks: up to version 3 a B-tree, whose keys are a chunk's size and filters, and a position. Later there are five kinds.
  private func hasSoundIndex(_ body: Range<Int>, version: Int, rank: Int, extentsAt: Int, extentLength: Int) -> Bool {
    if version < 4 {
      // No address, no tree.
      let tree = bytes.number(at: body.lowerBound + extentsAt - 8, 8)
      return tree.map { isSound(Tree(kind: 1, keySize: 8 + 8 * rank), at: $0) } ?? true
    }
    let kindAt = body.lowerBound + extentsAt + rank * extentLength
    switch bytes.number(at: kindAt, 1) {
    case 3: return bytes.number(at: kindAt + 2, 8).map(isSoundArray) ?? true
    case 5: return bytes.number(at: kindAt + 7, 8).map(isSoundTree) ?? true
    default: return true
    }
  }

  /// Symbol table message: the B-tree of an old-style group, and the local heap that holds its names, with its list of free blocks.
  private func hasSoundNames(_ body: Range<Int>) -> Bool {
    guard body.count >= 16, let tree = bytes.number(at: body.lowerBound, 8), let heap = bytes.number(at: body.lowerBound + 8, 8),
      bytes.has("HEAP", at: heap),
      bytes.number(at: heap + 4, 1) == 0, let size = bytes.number(at: heap + 8, 8), let data = bytes.number(at: heap + 24, 8),
      bytes.range(at: data, size) != nil, isSound(Tree(kind: 0, keySize: 8, namesSize: size), at: tree)
    else { return false }
    // The library takes a name to reach to the next 0, be that behind the heap. It clears what it pads, so that every heap ends in one.
    guard size == 0 || bytes.number(at: data + size - 1, 1) == 0 else { return false }
    var free = bytes.number(at: heap + 16, 8)
    // Each block takes 16 bytes or more, and says where the next one is; 1 ends the list.
    for _ in 0...size / 16 {
      guard let offset = free else { return false }
      if offset == 1 { return true }
      guard offset <= size - 16, let length = bytes.number(at: data + offset + 8, 8), length >= 16,
        length <= size - offset
      else { return false }
      free = bytes.number(at: data + offset, 8)
    }
    return false
  }
}
