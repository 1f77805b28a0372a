extension HDF5StructureCheck {
  /// Messages that the library decodes field by field, as far as their fields say, be that behind the message: their own sizes are held
  /// against where they end. Those that others look into pass.
  func hasSoundFields(_ message: HDF5ObjectHeader.Message) -> Bool {
    let (body, start) = (message.body, message.body.lowerBound)
    switch message.type {
    case HDF5ObjectHeader.MessageType.dataSpace: return hasSoundSpace(body)
    case HDF5ObjectHeader.MessageType.oldFillValue:
      guard body.count >= 4, let size = bytes.number(at: start, 4) else { return false }
      return size <= body.count - 4
    case HDF5ObjectHeader.MessageType.fillValue: return hasSoundFillValue(body)
    case HDF5ObjectHeader.MessageType.groupInfo:
      // Two pairs of numbers, each there when a flag says so.
      guard let flags = bytes.number(at: start + 1, 1) else { return false }
      return body.count >= 2 + (flags & 1 != 0 ? 4 : 0) + (flags & 2 != 0 ? 4 : 0)
    case HDF5ObjectHeader.MessageType.referenceCount: return body.count >= 5
    default: return true
    }
  }

  /// Dataspace message, versions 1 and 2: as many extents as it says, and as many that they may grow to.
  func hasSoundSpace(_ body: Range<Int>) -> Bool {
    guard body.count >= 4, let version = bytes.number(at: body.lowerBound, 1), let rank = bytes.number(at: body.lowerBound + 1, 1),
      let flags = bytes.number(at: body.lowerBound + 2, 1), (1...2).contains(version), rank <= 32
    else { return false }
    // Version 1 may have a third list, which was never used.
    let lists = 1 + (flags & 1 != 0 ? 1 : 0) + (version == 1 && flags & 2 != 0 ? 1 : 0)
    return (version == 1 ? 8 : 4) + lists * rank * 8 <= body.count
  }

  /// The elements of a sound dataspace; nil when they overflow.
  func elementCount(of space: Range<Int>) -> Int? {
    guard let version = bytes.number(at: space.lowerBound, 1), let rank = bytes.number(at: space.lowerBound + 1, 1) else { return nil }
    // In version 2 a kind of 2 stands for no elements at all.
    if version == 2, bytes.number(at: space.lowerBound + 3, 1) == 2 { return 0 }
    var count = 1
    for index in 0..<rank {
      guard let extent = bytes.number(at: space.lowerBound + (version == 1 ? 8 : 4) + 8 * index, 8) else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
      count = product
    }
    return count
  }

  /// Fill value message, versions 1 to 3: the value is inside.
  private func hasSoundFillValue(_ body: Range<Int>) -> Bool {
    guard body.count >= 2, let version = bytes.number(at: body.lowerBound, 1) else { return false }
    let isThere: Bool
    if version < 3 {
      guard body.count >= 4, let defined = bytes.number(at: body.lowerBound + 3, 1) else { return false }
      isThere = defined != 0
    } else {
      isThere = (bytes.number(at: body.lowerBound + 1, 1) ?? 0) & 0x20 != 0
    }
    guard isThere else { return true }
    let sizeAt = version < 3 ? 4 : 2
    guard body.count >= sizeAt + 4, let size = bytes.number(at: body.lowerBound + sizeAt, 4) else { return false }
    // All bits set stand for no value.
    return size == 0xFFFF_FFFF || size <= body.count - sizeAt - 4
  }

  /// Data layout message of a compact (0) or contiguous (1) dataset, versions 1 to 4: the address, or the data, is inside.
  func hasSoundStorage(_ body: Range<Int>, version: Int, layoutClass: Int) -> Bool {
    let start = body.lowerBound
    guard version < 3 else {
      guard layoutClass == 0 else { return body.count >= 18 }
      guard let size = bytes.number(at: start + 2, 2) else { return false }
      return 4 + size <= body.count
    }
    guard let rank = bytes.number(at: start + 1, 1) else { return false }
    guard layoutClass == 0 else { return 16 + 4 * rank <= body.count }
    guard let size = bytes.number(at: start + 8 + 4 * rank, 4) else { return false }
    return 12 + 4 * rank + size <= body.count
  }
}
