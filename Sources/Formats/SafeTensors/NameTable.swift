import Foundation

/// Values under names that count as equal only when their UTF-8 bytes are. A `Dictionary` keyed by `String` would take the composed and the
/// decomposed form of a letter for one name, and a checkpoint may hold both.
package struct NameTable<Value: Sendable>: Sendable {
  package struct Entry: Sendable {
    package let name: String
    package let value: Value
  }

  /// Sorted by the bytes of the names.
  package let entries: [Entry]

  package init(_ entries: [Entry]) {
    self.entries = entries.sorted { compareBytes($0.name, $1.name) < 0 }
  }

  package init(_ pairs: [(String, Value)]) { self.init(pairs.map { Entry(name: $0.0, value: $0.1) }) }

  /// The first name that occurs more than once.
  package var duplicate: String? {
    zip(entries, entries.dropFirst()).first { compareBytes($0.name, $1.name) == 0 }?.0.name
  }

  package subscript(name: String) -> Value? { position(of: name).map { entries[$0].value } }

  /// Where the name stands in `entries`.
  package func position(of name: String) -> Int? {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = low + (high - low) / 2
      if compareBytes(entries[middle].name, name) < 0 { low = middle + 1 } else { high = middle }
    }
    return low < entries.count && compareBytes(entries[low].name, name) == 0 ? low : nil
  }
}

/// The order of two names by their UTF-8 bytes: negative, zero or positive.
package func compareBytes(_ left: String, _ right: String) -> Int {
  var (left, right) = (left, right)
  return left.withUTF8 { left in
    right.withUTF8 { right in
      let common = min(left.count, right.count)
      if common > 0, let first = left.baseAddress, let second = right.baseAddress {
        let order = memcmp(first, second, common)
        if order != 0 { return Int(order) }
      }
      return left.count - right.count
    }
  }
}
