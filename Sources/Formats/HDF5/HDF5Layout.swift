import Foundation
import Tensors

/// What a file to be written will hold: checked, in its final order, every tensor with its place.
struct HDF5Layout {
  struct Planned: Sendable {
    let descriptor: TensorDescriptor
    let byteCount: Int
    /// Absolute path of the dataset.
    let path: String
  }

  struct Place: Sendable {
    let offset: Int
    let byteCount: Int
    /// Position in the order of the names.
    let index: Int
  }

  /// Elements start at a multiple of this, so that kernels read the mapped file in whole cache lines.
  static let alignment = 64

  /// Groups, headers and attributes: the start of the file.
  let image: [UInt8]
  let places: NameTable<Place>
  let byteCount: Int

  init(
    of descriptors: [TensorDescriptor], attributes: [String: String], bfloat16: HDF5ElementType.BFloat16 = .float, file: URL
  ) throws(CheckpointError) {
    let tensors = try Self.planned(descriptors, file: file)
    for (name, text) in attributes where name.isEmpty || name.utf8.contains(0) || text.utf8.contains(0) {
      throw .usage(file: file, "the attribute \"\(CheckpointError.shortened(name))\" has no name or holds a NUL")
    }
    var image = try HDF5Image(
      of: tensors, attributes: NameTable(attributes.map { ($0.key, $0.value) }), bfloat16: bfloat16,
      place: HDF5Place(file: file))

    var end = image.bytes.count
    var places: [(String, Place)] = []
    for (index, tensor) in tensors.enumerated() {
      var start = end
      if tensor.byteCount > 0 {
        let (sum, overflow) = end.addingReportingOverflow(tensor.byteCount + 2 * Self.alignment)
        guard !overflow, sum > 0 else { throw .usage(file: file, "the tensors together have no representable number of bytes") }
        start = (end + Self.alignment - 1) / Self.alignment * Self.alignment
        end = start + tensor.byteCount
        try image.place(index, at: start, byteCount: tensor.byteCount)
      }
      places.append((tensor.descriptor.name, Place(offset: start, byteCount: tensor.byteCount, index: index)))
    }
    try image.setEndOfFile(end)
    self.image = image.bytes
    self.places = NameTable(places)
    byteCount = end
  }

  private static func planned(_ descriptors: [TensorDescriptor], file: URL) throws(CheckpointError) -> [Planned] {
    let table = NameTable(descriptors.map { ($0.name, $0) })
    if let name = table.duplicate { throw .usage(file: file, tensor: name, "it is announced twice") }
    let names = Set(descriptors.map { Array($0.name.utf8) })
    var planned: [Planned] = []
    for entry in table.entries {
      let (name, descriptor) = (entry.name, entry.value)
      guard isAcceptable(name) else { throw .usage(file: file, tensor: name, "an HDF5 file cannot hold a tensor of this name") }
      // The room for alignment is part of what must be representable.
      guard let bytes = descriptor.byteCount, bytes < Int.max / 2, descriptor.shape.rank <= 32 else {
        throw .usage(file: file, tensor: name, "an HDF5 file cannot hold \(descriptor.dataType.rawValue) of shape \(descriptor.shape)")
      }
      planned.append(Planned(descriptor: descriptor, byteCount: bytes, path: path(of: name, besides: names)))
    }
    return planned
  }

  private static func isAcceptable(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 < 0x20 || $0 == 0x7F }
  }

  /// The dots of a name become groups, up to where another tensor has the name of a group: from there on they stay dots.
  static func path(of name: String, besides names: Set<[UInt8]>) -> String {
    let bytes = Array(name.utf8)
    let dot = UInt8(ascii: ".")
    // An empty component has no place in a path; such a name stays whole.
    guard !bytes.split(separator: dot, omittingEmptySubsequences: false).contains(where: \.isEmpty) else { return "/" + name }
    var path: [UInt8] = []
    var start = 0
    for (index, byte) in bytes.enumerated() where byte == dot {
      if names.contains(Array(bytes[..<index])) { break }
      path += [UInt8(ascii: "/")] + bytes[start..<index]
      start = index + 1
    }
    path += [UInt8(ascii: "/")] + bytes[start...]
    return String(decoding: path, as: UTF8.self)
  }
}
