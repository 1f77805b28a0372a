import Foundation
import StructuredData
import Tensors

/// Where the bytes of one file go: the order that the reference writer chooses, and the header that says so.
struct SafeTensorsLayout {
  /// In file order, with offsets relative to the end of the header.
  let entries: [(descriptor: TensorDescriptor, range: Range<Int>)]
  let dataCount: Int
  /// Length, JSON and padding: the data follows at a multiple of 8.
  let header: [UInt8]

  /// Lays tensors out as the reference does: types in the reverse of the specification's order (so that wide ones come first and
  /// everything is aligned), names by their bytes within a type. Nil when a size overflows.
  init?(_ tensors: [TensorDescriptor], metadata: [String: String]) {
    let ranks = Dictionary(uniqueKeysWithValues: DataType.allCases.enumerated().map { ($0.element, $0.offset) })
    let ordered = tensors.sorted { left, right in
      let (first, second) = (ranks[left.dataType] ?? 0, ranks[right.dataType] ?? 0)
      return first == second ? compareBytes(left.name, right.name) < 0 : first > second
    }
    var entries: [(descriptor: TensorDescriptor, range: Range<Int>)] = []
    entries.reserveCapacity(ordered.count)
    var document = JSONObject()
    if !metadata.isEmpty {
      let pairs = metadata.sorted { compareBytes($0.key, $1.key) < 0 }
      document[SafeTensorsHeader.metadataKey] = .object(pairs.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) })
    }
    var position = 0
    for descriptor in ordered {
      guard let count = descriptor.byteCount else { return nil }
      let (end, overflow) = position.addingReportingOverflow(count)
      guard !overflow else { return nil }
      entries.append((descriptor, position..<end))
      document[descriptor.name] = [
        "dtype": .string(descriptor.dataType.rawValue),
        "shape": .array(descriptor.shape.dimensions.map { .integer(Int64($0)) }),
        "data_offsets": [.integer(Int64(position)), .integer(Int64(end))],
      ]
      position = end
    }
    var json = Array(JSONValue.object(document).text(pretty: false).utf8)
    json += Array(repeating: 0x20, count: (8 - json.count % 8) % 8)
    header = withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
    self.entries = entries
    dataCount = position
  }
}
