import CHDF5
import Foundation
import StructuredData

/// Reads attributes: strings, numbers, booleans, and lists of numbers or fixed-length strings. Other kinds are passed over unread.
enum HDF5Attribute {
  /// More attributes on one object than any writer makes.
  static let greatestCount = 4096
  /// More elements in one attribute than a configuration needs.
  static let greatestElementCount = 65_536

  /// All readable attributes of an object, sorted by the bytes of their names.
  static func all(
    of object: borrowing HDF5Identifier, fileSize: Int, place: HDF5Place
  ) throws(CheckpointError) -> JSONObject {
    var result = JSONObject()
    for name in try names(of: object, place: place) {
      if let value = try value(of: object, named: name, fileSize: fileSize, place: place) { result[name] = value }
    }
    return result
  }

  /// A string attribute; nil when there is none of that name or it is no string.
  static func text(
    of object: borrowing HDF5Identifier, named name: String, fileSize: Int, place: HDF5Place
  ) throws(CheckpointError) -> String? {
    guard H5Aexists(object.raw, name) > 0 else { return nil }
    return try value(of: object, named: name, fileSize: fileSize, place: place)?.string
  }

  private static func names(of object: borrowing HDF5Identifier, place: HDF5Place) throws(CheckpointError) -> [String] {
    // Asking for a name that is not there decodes every attribute, and fails cleanly on a damaged one that would crash the listing in 1.10.
    guard H5Aexists(object.raw, "\u{1}") >= 0 else { throw place.libraryFailure("reading the attributes") }
    var names = HDF5NameList(limit: greatestCount)
    let status = withUnsafeMutablePointer(to: &names) { list in
      H5Aiterate2(
        object.raw, H5_INDEX_NAME, H5_ITER_NATIVE, nil,
        { _, name, _, context in
          guard let name, let list = context?.assumingMemoryBound(to: HDF5NameList.self) else { return -1 }
          return list.pointee.append(name, kind: 0)
        }, list)
    }
    guard status >= 0 else { throw place.libraryFailure("reading the attributes") }
    guard !names.isOverfull else { throw place.malformed("it has more than \(greatestCount) attributes") }
    var result: [String] = []
    for entry in names.entries {
      guard let name = entry.name else { throw place.malformed("the name of an attribute is not UTF-8") }
      result.append(name)
    }
    return result.sorted { compareBytes($0, $1) < 0 }
  }

  private static func value(
    of object: borrowing HDF5Identifier, named name: String, fileSize: Int, place: HDF5Place
  ) throws(CheckpointError) -> JSONValue? {
    guard let attribute = HDF5Identifier(H5Aopen(object.raw, name, 0)), let type = HDF5Identifier(H5Aget_type(attribute.raw)),
      let space = HDF5Identifier(H5Aget_space(attribute.raw))
    else { throw place.libraryFailure("reading the attribute \(CheckpointError.shortened(name))") }
    guard H5Tcommitted(type.raw) == 0 else { return nil }
    let spaceClass = H5Sget_simple_extent_type(space.raw)
    let size = H5Tget_size(type.raw)
    guard spaceClass == H5S_SCALAR || spaceClass == H5S_SIMPLE, H5Sget_simple_extent_ndims(space.raw) <= 1, size > 0,
      let count = Int(exactly: H5Sget_simple_extent_npoints(space.raw)), (0...greatestElementCount).contains(count)
    else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
    guard !overflow, bytes <= fileSize else {
      throw place.malformed("the attribute \(CheckpointError.shortened(name)) is larger than the file")
    }
    let reader = HDF5AttributeReader(
      attribute: attribute.raw, type: type.raw, space: space.raw, name: name, count: count, size: size, place: place)
    guard let elements = try reader.elements(type) else { return nil }
    return spaceClass == H5S_SCALAR ? elements.first : .array(elements)
  }
}

/// The elements of one open attribute. The identifiers are borrowed from the caller.
private struct HDF5AttributeReader {
  let attribute: hid_t
  let type: hid_t
  let space: hid_t
  let name: String
  let count: Int
  let size: Int
  let place: HDF5Place

  func elements(_ owned: borrowing HDF5Identifier) throws(CheckpointError) -> [JSONValue]? {
    switch H5Tget_class(type) {
    case H5T_STRING:
      if H5Tis_variable_str(type) == 0 { return try fixedStrings() }
      // A list of these could name one large string many times over.
      return count == 1 ? [.string(try variableString())] : nil
    case H5T_INTEGER where [1, 2, 4, 8].contains(size):
      if H5Tget_sign(type) == H5T_SGN_NONE {
        return try values(UInt64(0), as: chdf5_uint64_memory()).map { value in
          Int64(exactly: value).map { .integer($0) } ?? .number(Double(value))
        }
      }
      return try values(Int64(0), as: chdf5_int64_memory()).map { .integer($0) }
    case H5T_FLOAT where [2, 4, 8].contains(size):
      guard (try? HDF5ElementType(owned, tag: nil, place: place)) != nil else { return nil }
      return try values(Double(0), as: chdf5_float64_memory()).map { .number($0) }
    case H5T_ENUM where HDF5ElementType.isBoolean(owned, size: size):
      return try values(UInt8(0), as: type).map { .bool($0 != 0) }
    default: return nil
    }
  }

  private func values<Value: BitwiseCopyable>(_ zero: Value, as memoryType: hid_t) throws(CheckpointError) -> [Value] {
    var values = [Value](repeating: zero, count: count)
    let status = values.withUnsafeMutableBytes { count == 0 ? 0 : H5Aread(attribute, memoryType, $0.baseAddress) }
    guard status >= 0 else { throw failure }
    return values
  }

  private func fixedStrings() throws(CheckpointError) -> [JSONValue] {
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: count * size)
    guard H5Aread(attribute, type, &bytes) >= 0 else { throw failure }
    let isSpacePadded = H5Tget_strpad(type) == H5T_STR_SPACEPAD
    var result: [JSONValue] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      var text = bytes[start..<start + size].prefix { $0 != 0 }
      while isSpacePadded, text.last == UInt8(ascii: " ") { text.removeLast() }
      result.append(.string(try decoded(text)))
    }
    return result
  }

  private func variableString() throws(CheckpointError) -> String {
    guard let memoryType = HDF5Identifier(chdf5_string_type(0, H5Tget_cset(type))) else { throw failure }
    var text: UnsafeMutablePointer<CChar>?
    guard H5Aread(attribute, memoryType.raw, &text) >= 0 else { throw failure }
    defer { _ = chdf5_reclaim(memoryType.raw, space, &text) }
    guard let text else { return "" }
    return try decoded(UnsafeRawBufferPointer(start: text, count: strlen(text)))
  }

  private func decoded(_ bytes: some Collection<UInt8>) throws(CheckpointError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw place.malformed("the attribute \(CheckpointError.shortened(name)) is not UTF-8")
    }
    return text
  }

  private var failure: CheckpointError { place.libraryFailure("reading the attribute \(CheckpointError.shortened(name))") }
}
