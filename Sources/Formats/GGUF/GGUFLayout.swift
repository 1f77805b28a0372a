import Foundation
import Tensors

/// Where the bytes of a file go.
struct GGUFLayout {
  let plan: AnnouncedOutput.Plan
  let pieces: [(name: String, place: AnnouncedOutput.Place)]

  init(_ tensors: [GGUFAnnouncement], metadata: GGUFMetadata, file: URL) throws(CheckpointError) {
    guard let alignment = GGUFAlignment.value(metadata) else {
      throw CheckpointError.usage(
        file: file, "\"\(GGUFAlignment.key)\" must be a uint32 that is a power of two, at most \(GGUFAlignment.limit)")
    }
    var header = Array("GGUF".utf8)
    header.append(number: UInt32(3))
    header.append(number: UInt64(tensors.count))
    header.append(number: UInt64(metadata.entries.count))
    for entry in metadata.entries { try header.append(entry, file: file) }
    var offsets: [(start: Int, byteCount: Int, padded: Int)] = []
    var position = 0
    for tensor in tensors {
      let size = try Self.size(of: tensor, file: file)
      guard let end = Self.end(position, size, alignment) else {
        throw CheckpointError.usage(file: file, "the tensors together have no representable number of bytes")
      }
      offsets.append((position, size, end - position))
      header.append(text: tensor.name)
      header.append(number: UInt32(tensor.dimensions.count))
      for dimension in tensor.dimensions.reversed() { header.append(number: UInt64(dimension)) }
      header.append(number: tensor.type.rawValue)
      header.append(number: UInt64(position))
      position = end
    }
    header += Array(repeating: 0, count: (alignment - header.count % alignment) % alignment)
    let (byteCount, overflow) = header.count.addingReportingOverflow(position)
    guard !overflow else { throw CheckpointError.usage(file: file, "the tensors together have no representable number of bytes") }
    plan = AnnouncedOutput.Plan(file: file, header: header, byteCount: byteCount)
    pieces = zip(tensors, offsets).flatMap { tensor, offset in
      let keys = tensor.parts.isEmpty ? [tensor.name] : tensor.parts
      let share = offset.byteCount / keys.count
      return keys.enumerated().map { number, key in
        let isLast = number == keys.count - 1
        return (
          key,
          AnnouncedOutput.Place(
            file: 0, offset: header.count + offset.start + number * share, byteCount: share,
            padding: isLast ? offset.padded - offset.byteCount : 0)
        )
      }
    }
    let tables = [tensors.map(\.name), pieces.map(\.name)].map { NameTable($0.map { ($0, 0) }) }
    if let name = tables.compactMap(\.duplicate).first {
      throw CheckpointError.usage(file: file, tensor: name, "it is announced twice")
    }
  }

  private static func end(_ position: Int, _ size: Int, _ alignment: Int) -> Int? {
    let (end, overflow) = position.addingReportingOverflow(size)
    return overflow ? nil : GGUFAlignment.round(end, to: alignment)
  }

  private static func size(of tensor: GGUFAnnouncement, file: URL) throws(CheckpointError) -> Int {
    guard tensor.name.utf8.count < GGUFTensor.nameLimit else {
      throw CheckpointError.usage(
        file: file, tensor: tensor.name, "its name has \(tensor.name.utf8.count) bytes; readers take fewer than \(GGUFTensor.nameLimit)")
    }
    let (bytes, problem) = GGUFTensor.byteCount(tensor.type, tensor.dimensions)
    guard let bytes else { throw CheckpointError.usage(file: file, tensor: tensor.name, problem) }
    let parts = tensor.parts.count
    guard parts == 0 || (tensor.dimensions.count > 1 || tensor.type.dataType != nil) && (tensor.dimensions.first ?? 1) % parts == 0 else {
      throw CheckpointError.usage(
        file: file, tensor: tensor.name, "its dimensions \(Shape(tensor.dimensions)) cannot be cut into \(parts) equal parts")
    }
    return bytes
  }
}
