extension HDF5StructureCheck {
  /// Filter pipeline message, versions 1 and 2: the names and values of its filters lie inside it, and every name ends in a 0, which the library
  /// looks for wherever it may be.
  func hasSoundFilters(_ body: Range<Int>) -> Bool {
    guard let version = bytes.number(at: body.lowerBound, 1), (1...2).contains(version),
      let count = bytes.number(at: body.lowerBound + 1, 1)
    else { return false }
    var position = body.lowerBound + (version == 1 ? 8 : 2)
    for _ in 0..<count {
      // Number, length of the name, flags, count of values; version 2 leaves the name of the library's own filters out.
      guard let filter = bytes.number(at: position, 2) else { return false }
      let isNamed = version == 1 || filter >= 256
      let start = position + (isNamed ? 8 : 6)
      guard start <= body.upperBound, let nameLength = isNamed ? bytes.number(at: position + 2, 2) : 0,
        let values = bytes.number(at: start - 2, 2)
      else { return false }
      let end = start + nameLength
      guard end <= body.upperBound, nameLength == 0 || (start..<end).contains(where: { bytes.number(at: $0, 1) == 0 }) else { return false }
      position = end + 4 * (version == 1 ? (values + 1) / 2 * 2 : values)
      guard position <= body.upperBound else { return false }
    }
    return true
  }
}
