extension HDF5StructureCheck {
  /// Link message: its parts lie inside it. Soft and external links pass when they are whole; the walk refuses them by name.
  func isSoundLink(_ body: Range<Int>) -> Bool {
    guard bytes.number(at: body.lowerBound, 1) == 1, let flags = bytes.number(at: body.lowerBound + 1, 1), flags < 32
    else { return false }
    // Optional fields: kind of link, creation order, character set; then the length of the name in 1, 2, 4 or 8 bytes.
    var position = body.lowerBound + 2
    var kind = 0
    if flags & 8 != 0 {
      kind = bytes.number(at: position, 1) ?? -1
      position += 1
    }
    position += flags & 4 != 0 ? 8 : 0
    if flags & 16 != 0 {
      guard let characterSet = bytes.number(at: position, 1), characterSet < 2 else { return false }
      position += 1
    }
    let lengthSize = 1 << (flags & 3)
    guard position + lengthSize <= body.upperBound, let length = bytes.number(at: position, lengthSize), length > 0,
      length <= body.upperBound - position - lengthSize
    else { return false }
    position += lengthSize + length
    guard kind != 0 else { return position + 8 <= body.upperBound }
    // A soft link holds a path; an external one a byte of flags, and the names of a file and of an object in it.
    guard kind == 1 || kind == 64, position + 2 <= body.upperBound, let target = bytes.number(at: position, 2), target > 0,
      target <= body.upperBound - position - 2
    else { return false }
    return kind == 1 || (target >= 5 && bytes.number(at: position + 1 + target, 1) == 0)
  }
}
