import Foundation
import Tensors

/// Values under names that count as equal only when their UTF-8 bytes are. A `Dictionary` keyed by `String` would take the composed and the
/// decomposed form of a letter for one name, and a checkpoint may hold both.
package struct NameTable<Value: Sendable>: Sendable {
  package struct Entry: Sendable {
    package let name: String
    package let value: Value
  }

  /// Sorted by the bytes of the names.
  package let entries: [Entry]

  /// Where each name stands, the first where it occurs more than once. A model may have a hundred thousand names, each looked up several
  /// times.
  private let positions: [TensorName: Int]

  package init(_ entries: [Entry]) {
    let isSorted = zip(entries, entries.dropFirst()).allSatisfy { compareBytes($0.name, $1.name) <= 0 }
    let sorted = isSorted ? entries : entries.sorted { compareBytes($0.name, $1.name) < 0 }
    var positions: [TensorName: Int] = [:]
    positions.reserveCapacity(sorted.count)
    for index in sorted.indices.reversed() { positions[TensorName(sorted[index].name)] = index }
    self.entries = sorted
    self.positions = positions
  }

  package init(_ pairs: [(String, Value)]) { self.init(pairs.map { Entry(name: $0.0, value: $0.1) }) }

  /// The first name that occurs more than once.
  package var duplicate: String? {
    if positions.count == entries.count { return nil }
    return zip(entries, entries.dropFirst()).first { compareBytes($0.name, $1.name) == 0 }?.0.name
  }

  package subscript(name: String) -> Value? { position(of: name).map { entries[$0].value } }

  /// Where the name stands in `entries`.
  package func position(of name: String) -> Int? { positions[TensorName(name)] }
}

/// The order of two names by their UTF-8 bytes: negative, zero or positive.
package func compareBytes(_ left: String, _ right: String) -> Int {
  func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
    let common = min(left.count, right.count)
    if common > 0, let first = left.baseAddress, let second = right.baseAddress {
      let order = memcmp(first, second, common)
      if order != 0 { return Int(order) }
    }
    return left.count - right.count
  }
  let order = left.utf8.withContiguousStorageIfAvailable { left in
    right.utf8.withContiguousStorageIfAvailable { right in compare(left, right) }
  }
  if let order = order ?? nil { return order }
  var (left, right) = (left, right)
  return left.withUTF8 { left in right.withUTF8 { right in compare(left, right) } }
}
