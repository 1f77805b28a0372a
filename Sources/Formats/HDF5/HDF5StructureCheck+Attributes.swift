extension HDF5StructureCheck {
  /// Attribute message, versions 1 to 3: its name ends, its type is sound, and strings of variable length are each a whole object of a global heap.
  func isSoundAttribute(_ body: Range<Int>) -> Bool {
    guard let version = bytes.number(at: body.lowerBound, 1), (1...3).contains(version),
      let nameSize = bytes.number(at: body.lowerBound + 2, 2), let typeSize = bytes.number(at: body.lowerBound + 4, 2),
      let spaceSize = bytes.number(at: body.lowerBound + 6, 2)
    else { return false }
    // Version 1 pads each part to 8 bytes; version 3 adds the character set of the name.
    func stored(_ size: Int) -> Int { version == 1 ? (size + 7) / 8 * 8 : size }
    let nameAt = body.lowerBound + (version == 3 ? 9 : 8)
    // The library takes the name to reach to the next 0, wherever that is.
    guard nameSize > 0, bytes.number(at: nameAt + nameSize - 1, 1) == 0 else { return false }
    let typeAt = nameAt + stored(nameSize)
    let spaceAt = typeAt + stored(typeSize)
    let dataAt = spaceAt + stored(spaceSize)
    // From version 2 on a flag says that only where the type is stands there.
    let isElsewhere = version > 1 && (bytes.number(at: body.lowerBound + 1, 1) ?? 0) & 1 != 0
    guard dataAt <= body.upperBound, hasSoundSpace(spaceAt..<spaceAt + spaceSize),
      let type = soundType(typeAt..<typeAt + typeSize, isElsewhere: isElsewhere),
      let kind = bytes.number(at: type.lowerBound, 1), let detail = bytes.number(at: type.lowerBound + 1, 1)
    else { return false }
    // The library copies as many elements as there are, of the size that their type says.
    guard let size = bytes.number(at: type.lowerBound + 4, 4), let count = elementCount(of: spaceAt..<spaceAt + spaceSize),
      case let (data, overflow) = size.multipliedReportingOverflow(by: count), !overflow, data <= body.upperBound - dataAt
    else { return false }
    // Datatype message: class 9 is variable length; the first four bits of its detail are 1 for a string. Nothing else is read.
    guard kind & 0xF == 9, detail & 0xF == 1 else { return true }
    // The library goes from one to the next by the size that the type says, and from letter to letter by that of the type in it.
    guard size == 16, bytes.number(at: type.lowerBound + 12, 4) == 1 else { return false }
    return stride(from: dataAt, through: body.upperBound - 16, by: 16).allSatisfy(isSoundString)
  }

  /// A length, and the heap and index of the object that holds as many bytes. The library copies by either of the two sizes.
  private func isSoundString(at position: Int) -> Bool {
    guard let length = bytes.number(at: position, 4), let heap = bytes.number(at: position + 4, 8),
      let index = bytes.number(at: position + 12, 4)
    else { return false }
    // An empty string is an object of no bytes: the library copies it like any other.
    return heap == 0 || sizeOfObject(index, inHeapAt: heap) == length
  }

  /// The size of one object of a global heap collection; nil when the collection is damaged or has no such object.
  private func sizeOfObject(_ index: Int, inHeapAt heap: Int) -> Int? {
    guard bytes.has("GCOL", at: heap), bytes.number(at: heap + 4, 1) == 1, let size = bytes.number(at: heap + 8, 8),
      let collection = bytes.range(at: heap, size)
    else { return nil }
    var position = heap + 16
    var found: Int?
    // Index, reference count and size, then the bytes, padded to 8. Index 0 is free space, whose size counts these fields too.
    while collection.upperBound - position >= 16 {
      guard let candidate = bytes.number(at: position, 2), let length = bytes.number(at: position + 8, 8),
        length <= collection.upperBound - position - (candidate == 0 ? 0 : 16)
      else { return nil }
      guard candidate != 0 || length >= 16 else { return nil }
      if candidate == index { found = length }
      position += candidate == 0 ? length : 16 + (length + 7) / 8 * 8
    }
    return found
  }
}
