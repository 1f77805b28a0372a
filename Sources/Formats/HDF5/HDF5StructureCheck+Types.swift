extension HDF5StructureCheck {
  /// More types inside each other than any writer makes. The library goes into each by a call of its own.
  static let greatestTypeDepth = 32

  /// The datatype message that is meant, when it is sound: that one, or the one of the object that it names.
  func soundType(_ body: Range<Int>, isElsewhere: Bool) -> Range<Int>? {
    let type = isElsewhere ? committedType(namedIn: body) : body
    return type.flatMap { hasSoundType($0) ? $0 : nil }
  }

  /// Shared message, versions 1 to 3: where the object is whose type is meant. Types that a file keeps in a table of shared messages are refused.
  private func committedType(namedIn body: Range<Int>) -> Range<Int>? {
    guard let version = bytes.number(at: body.lowerBound, 1), (1...3).contains(version) else { return nil }
    // Version 1 has padding and the address of a heap before it; from version 3 on a kind of 1 stands for the table.
    if version == 3, bytes.number(at: body.lowerBound + 1, 1) == 1 { return nil }
    let position = body.lowerBound + (version == 1 ? 16 : 2)
    guard position + 8 <= body.upperBound, let address = bytes.number(at: position, 8),
      let header = HDF5ObjectHeader(in: bytes, at: address)
    else { return nil }
    return header.messages.first { $0.type == HDF5ObjectHeader.MessageType.dataType && !$0.isElsewhere }?.body
  }

  /// Datatype message, versions 1 to 3: types lie inside each other within reason, and an enumeration's values, for which the library asks before it
  /// reads them, inside the message. Other versions and kinds pass.
  func hasSoundType(_ body: Range<Int>) -> Bool { end(ofTypeIn: body, depth: 0) != nil }

  /// Where the type ends that begins there; nil when it is damaged. What is not known takes all.
  private func end(ofTypeIn body: Range<Int>, depth: Int) -> Int? {
    guard depth <= Self.greatestTypeDepth, body.count >= 8, let kind = bytes.number(at: body.lowerBound, 1),
      let detail = bytes.number(at: body.lowerBound + 1, 3)
    else { return nil }
    let version = kind >> 4
    let start = body.lowerBound + 8
    func inside(_ end: Int) -> Int? { end <= body.upperBound ? end : nil }
    guard (1...3).contains(version) else { return body.upperBound }
    switch kind & 0xF {
    case 0, 4: return hasBitsInside(body) ? inside(start + 4) : nil
    case 1: return hasBitsInside(body) ? inside(start + 12) : nil
    case 2: return inside(start + 2)
    case 3, 7: return start
    case 5: return inside(start + detail & 0xFF)
    case 6: return end(ofMembers: detail & 0xFFFF, in: start..<body.upperBound, version: version, size: body.lowerBound + 4, depth: depth)
    case 8:
      // The library decodes values by the size of the type in it, and copies them by that of the whole.
      guard let size = bytes.number(at: body.lowerBound + 4, 4), size == bytes.number(at: start + 4, 4) else { return nil }
      return end(ofValues: detail & 0xFFFF, in: start..<body.upperBound, version: version, depth: depth)
    case 9: return end(ofTypeIn: start..<body.upperBound, depth: depth + 1)
    case 10:
      // The extents; in version 2 after three bytes of padding, and twice.
      guard let rank = bytes.number(at: start, 1), rank <= 32, let base = inside(version < 3 ? start + 4 + 8 * rank : start + 1 + 4 * rank)
      else {
        return nil
      }
      return end(ofTypeIn: base..<body.upperBound, depth: depth + 1)
    default: return body.upperBound
    }
  }

  /// A number's bits lie in its bytes: the library goes by where the type says that they are.
  private func hasBitsInside(_ type: Range<Int>) -> Bool {
    guard type.count >= 12, let size = bytes.number(at: type.lowerBound + 4, 4), let offset = bytes.number(at: type.lowerBound + 8, 2),
      let precision = bytes.number(at: type.lowerBound + 10, 2)
    else { return false }
    return precision > 0 && offset + precision <= 8 * size
  }

  /// A compound's members: a name, an offset, in version 1 the extents of an array, and a type.
  private func end(ofMembers count: Int, in body: Range<Int>, version: Int, size sizeAt: Int, depth: Int) -> Int? {
    let size = bytes.number(at: sizeAt, 4) ?? 0
    let offsetLength = version < 3 ? 4 : size < 1 << 8 ? 1 : size < 1 << 16 ? 2 : size < 1 << 24 ? 3 : 4
    var position = body.lowerBound
    for _ in 0..<count {
      guard let named = end(ofNameIn: position..<body.upperBound, version: version) else { return nil }
      let type = named + offsetLength + (version == 1 ? 28 : 0)
      guard type <= body.upperBound, let next = end(ofTypeIn: type..<body.upperBound, depth: depth + 1) else { return nil }
      position = next
    }
    return position
  }

  /// An enumeration: the type of its values, their names, the values.
  private func end(ofValues count: Int, in body: Range<Int>, version: Int, depth: Int) -> Int? {
    guard let size = bytes.number(at: body.lowerBound + 4, 4), var position = end(ofTypeIn: body, depth: depth + 1) else { return nil }
    for _ in 0..<count {
      guard let next = end(ofNameIn: position..<body.upperBound, version: version) else { return nil }
      position = next
    }
    return count * size <= body.upperBound - position ? position + count * size : nil
  }

  /// A name ends in a 0, and up to version 2 is padded to 8 bytes.
  private func end(ofNameIn body: Range<Int>, version: Int) -> Int? {
    guard let last = body.first(where: { bytes.number(at: $0, 1) == 0 }) else { return nil }
    let length = last + 1 - body.lowerBound
    let end = body.lowerBound + (version < 3 ? (length + 7) / 8 * 8 : length)
    return end <= body.upperBound ? end : nil
  }
}
