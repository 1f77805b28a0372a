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
      // A type may be another object's; the rest would be one of the file's table of messages.
      if message.isElsewhere, Self.isOwn(message.type) {
        throw place.malformed("a message of its header lies elsewhere, which is not read", remedy: "write the file again with h5py")
      }
      guard hasSoundFields(message) else { throw place.damaged("a message of its header is damaged") }
      switch message.type {
      case HDF5ObjectHeader.MessageType.externalFiles:
        throw place.malformed("its data lies in an external file", remedy: HDF5Place.selfContainedRemedy)
      case HDF5ObjectHeader.MessageType.dataLayout: try checkLayout(message.body, of: header, place)
      case HDF5ObjectHeader.MessageType.link where !isSoundLink(message.body):
        throw place.damaged("a link in this group is damaged")
      case HDF5ObjectHeader.MessageType.symbolTable where !hasSoundNames(message.body):
        throw place.damaged("the names in this group are damaged")
      case HDF5ObjectHeader.MessageType.filterPipeline where !hasSoundFilters(message.body):
        throw place.damaged("its filters are damaged")
      case HDF5ObjectHeader.MessageType.attribute where !isSoundAttribute(message.body):
        throw place.damaged("an attribute of it is damaged")
      case HDF5ObjectHeader.MessageType.dataType where soundType(message.body, isElsewhere: message.isElsewhere) == nil:
        throw place.damaged("its type is damaged")
      case HDF5ObjectHeader.MessageType.linkInfo where !hasSoundHeap(message.body, .links),
        HDF5ObjectHeader.MessageType.attributeInfo where !hasSoundHeap(message.body, .attributes):
        throw place.damaged("the heap of its names is damaged")
      default: break
      }
    }
  }

  /// Messages that are looked into where they stand.
  private static func isOwn(_ type: Int) -> Bool {
    [
      HDF5ObjectHeader.MessageType.dataSpace, HDF5ObjectHeader.MessageType.oldFillValue, HDF5ObjectHeader.MessageType.fillValue,
      HDF5ObjectHeader.MessageType.filterPipeline, HDF5ObjectHeader.MessageType.attribute,
    ].contains(type)
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
