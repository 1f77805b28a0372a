import CHDF5
import Tensors

/// How the elements of a dataset are stored: one of our types, and the byte order.
struct HDF5ElementType: Equatable, Sendable {
  let dataType: DataType
  let isBigEndian: Bool

  /// Recognizes a stored type exactly, bit for bit, or refuses it by its name.
  /// - Parameter tag: the dataset's string attribute `dtype`, which Keras and others use for types that HDF5 has no name for.
  init(_ type: borrowing HDF5Identifier, tag: String?, place: HDF5Place) throws(CheckpointError) {
    guard H5Tcommitted(type.raw) == 0 else { throw place.malformed("its type is a committed datatype, which is not read") }
    let size = H5Tget_size(type.raw)
    let tagged = tag.flatMap(Self.dataType(tagged:))
    switch H5Tget_class(type.raw) {
    case H5T_FLOAT:
      guard let found = Self.float(type, size: size) else { throw Self.unknownFormat("floating-point", size, place) }
      dataType = found
    case H5T_INTEGER:
      guard let found = Self.integer(type, size: size) else { throw Self.unknownFormat("integer", size, place) }
      // A tag speaks only where plain bits stand for a type that the writer could not name.
      if let tagged, found == (tagged == .bfloat16 ? .uint16 : .uint8) { dataType = tagged } else { dataType = found }
    case H5T_OPAQUE:
      guard let tagged, tagged.bitWidth == size * 8 else {
        throw place.malformed(
          "it holds opaque elements of \(size) bytes without an attribute dtype that names their type",
          remedy: "store it as numbers, or add the attribute dtype=\"bfloat16\"")
      }
      dataType = tagged
    case H5T_ENUM:
      guard Self.isBoolean(type, size: size) else { throw place.malformed("it holds an enumeration that is not a boolean") }
      dataType = .bool
    case let other: throw place.malformed("it holds \(Self.name(of: other))", remedy: "store tensors as plain numeric datasets")
    }
    switch H5Tget_order(type.raw) {
    case H5T_ORDER_LE, H5T_ORDER_NONE: isBigEndian = false
    case H5T_ORDER_BE: isBigEndian = size > 1
    default: throw place.malformed("its byte order is neither little- nor big-endian")
    }
  }

  private static func unknownFormat(_ kind: String, _ size: Int, _ place: HDF5Place) -> CheckpointError {
    place.malformed(
      "its \(size)-byte \(kind) format is not a standard one", remedy: "store it as float16, bfloat16, float32, float64 or an integer type")
  }

  /// Sign, exponent and fraction must lie where the IEEE format (or bfloat16, or 8-bit float) has them.
  private static func float(_ type: borrowing HDF5Identifier, size: Int) -> DataType? {
    var (sign, exponentAt, exponentBits, fractionAt, fractionBits) = (0, 0, 0, 0, 0)
    guard H5Tget_fields(type.raw, &sign, &exponentAt, &exponentBits, &fractionAt, &fractionBits) >= 0,
      H5Tget_precision(type.raw) == size * 8, H5Tget_offset(type.raw) == 0, H5Tget_norm(type.raw) == H5T_NORM_IMPLIED,
      sign == size * 8 - 1, fractionAt == 0, exponentAt == fractionBits, exponentAt + exponentBits == sign
    else { return nil }
    switch (size, exponentBits, H5Tget_ebias(type.raw)) {
    case (1, 4, 7): return .float8E4M3
    case (1, 5, 15): return .float8E5M2
    case (2, 5, 15): return .float16
    case (2, 8, 127): return .bfloat16
    case (4, 8, 127): return .float32
    case (8, 11, 1023): return .float64
    default: return nil
    }
  }

  private static func integer(_ type: borrowing HDF5Identifier, size: Int) -> DataType? {
    guard H5Tget_precision(type.raw) == size * 8, H5Tget_offset(type.raw) == 0 else { return nil }
    switch (size, H5Tget_sign(type.raw)) {
    case (1, H5T_SGN_NONE): return .uint8
    case (1, H5T_SGN_2): return .int8
    case (2, H5T_SGN_NONE): return .uint16
    case (2, H5T_SGN_2): return .int16
    case (4, H5T_SGN_NONE): return .uint32
    case (4, H5T_SGN_2): return .int32
    case (8, H5T_SGN_NONE): return .uint64
    case (8, H5T_SGN_2): return .int64
    default: return nil
    }
  }

  /// h5py's boolean: one byte, the members FALSE = 0 and TRUE = 1.
  static func isBoolean(_ type: borrowing HDF5Identifier, size: Int) -> Bool {
    guard size == 1, H5Tget_nmembers(type.raw) == 2 else { return false }
    for (name, expected) in [("FALSE", UInt8(0)), ("TRUE", 1)] {
      var value: UInt8 = .max
      guard H5Tenum_valueof(type.raw, name, &value) >= 0, value == expected else { return false }
    }
    return true
  }

  private static func name(of typeClass: H5T_class_t) -> String {
    switch typeClass {
    case H5T_TIME: "times"
    case H5T_STRING: "strings, not numbers"
    case H5T_BITFIELD: "bit fields"
    case H5T_COMPOUND: "compound elements"
    case H5T_REFERENCE: "references"
    case H5T_VLEN: "elements of variable length"
    case H5T_ARRAY: "array elements"
    default: "elements of an unknown class"
    }
  }
}

extension HDF5ElementType {
  /// Types that HDF5 1.10 has no name for, by the names that numpy's extension types and Keras give them.
  private static let tags: [(tag: String, type: DataType)] = [
    ("bfloat16", .bfloat16), ("float8_e4m3fn", .float8E4M3), ("float8_e5m2", .float8E5M2), ("float8_e8m0fnu", .float8E8M0),
    ("float8_e4m3fnuz", .float8E4M3FNUZ), ("float8_e5m2fnuz", .float8E5M2FNUZ),
  ]

  static func dataType(tagged tag: String) -> DataType? { tags.first { $0.tag == tag }?.type }

  /// The attribute `dtype` that a dataset of that type gets; nil where the stored type says it all.
  static func tag(of type: DataType) -> String? { tags.first { $0.type == type }?.tag }

  /// How bfloat16 is stored, which HDF5 has no name for.
  enum BFloat16: Sendable {
    /// As a floating-point type of its format, which libraries that know nothing of it convert.
    case float
    /// As two opaque bytes, which Keras wants.
    case opaque
  }

  /// A new little-endian stored type for writing; nil for the types that HDF5 cannot hold element by element.
  static func stored(_ type: DataType, bfloat16: BFloat16 = .float) -> HDF5Identifier? {
    switch type {
    case .bool: boolean()
    case .uint8, .float8E4M3, .float8E5M2, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: HDF5Identifier(chdf5_integer_type(1, 0))
    case .int8: HDF5Identifier(chdf5_integer_type(1, 1))
    case .uint16: HDF5Identifier(chdf5_integer_type(2, 0))
    case .int16: HDF5Identifier(chdf5_integer_type(2, 1))
    case .uint32: HDF5Identifier(chdf5_integer_type(4, 0))
    case .int32: HDF5Identifier(chdf5_integer_type(4, 1))
    case .uint64: HDF5Identifier(chdf5_integer_type(8, 0))
    case .int64: HDF5Identifier(chdf5_integer_type(8, 1))
    case .float16: float(exponentBits: 5, fractionBits: 10)
    case .bfloat16: bfloat16 == .opaque ? opaqueBytes() : float(exponentBits: 8, fractionBits: 7)
    case .float32: HDF5Identifier(H5Tcopy(chdf5_float32_le()))
    case .float64: HDF5Identifier(H5Tcopy(chdf5_float64_le()))
    case .float4E2M1, .float6E2M3, .float6E3M2, .complex64: nil
    }
  }

  /// Two bytes without a tag: h5py converts only between opaque types of one tag, and numpy's have none.
  private static func opaqueBytes() -> HDF5Identifier? {
    guard let type = HDF5Identifier(H5Tcreate(H5T_OPAQUE, 2)), H5Tset_tag(type.raw, "") >= 0 else { return nil }
    return type
  }

  private static func boolean() -> HDF5Identifier? {
    guard let base = HDF5Identifier(chdf5_integer_type(1, 1)), let type = HDF5Identifier(H5Tenum_create(base.raw)) else { return nil }
    for (name, value) in [("FALSE", Int8(0)), ("TRUE", 1)] {
      guard withUnsafePointer(to: value, { H5Tenum_insert(type.raw, name, $0) }) >= 0 else { return nil }
    }
    return type
  }

  /// A 16-bit floating-point type, cut from float32 in the order in which the library accepts it.
  private static func float(exponentBits: Int, fractionBits: Int) -> HDF5Identifier? {
    guard let type = HDF5Identifier(H5Tcopy(chdf5_float32_le())),
      H5Tset_fields(type.raw, 15, fractionBits, exponentBits, 0, fractionBits) >= 0,
      H5Tset_precision(type.raw, 16) >= 0, H5Tset_size(type.raw, 2) >= 0,
      H5Tset_ebias(type.raw, (1 << (exponentBits - 1)) - 1) >= 0
    else { return nil }
    return type
  }
}
