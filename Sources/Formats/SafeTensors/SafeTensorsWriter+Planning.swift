import Foundation
import Tensors

extension SafeTensorsWriter {
  /// `model.safetensors`, or `model-00001-of-00003.safetensors` and so on.
  static func fileNames(count: Int) -> [String] {
    guard count > 1 else { return ["model.safetensors"] }
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return (1...count).map { "model-\(padded($0))-of-\(padded(count)).safetensors" }
  }

  /// Fills shard after shard in the given order; at least one, even for no tensors.
  static func plan(
    _ tensors: [TensorDescriptor], maximumShardBytes: Int, metadata: [String: String], directory: URL
  ) throws(CheckpointError) -> [SafeTensorsLayout] {
    guard maximumShardBytes > 0 else {
      throw CheckpointError.usage(file: directory, "a shard of \(maximumShardBytes) bytes holds nothing")
    }
    if let name = NameTable(tensors.map { ($0.name, 0) }).duplicate {
      throw CheckpointError.usage(file: directory, tensor: name, "it is announced twice")
    }
    var shards: [[TensorDescriptor]] = [[]]
    var bytesInLast = 0
    for tensor in tensors {
      guard tensor.name != SafeTensorsHeader.metadataKey else {
        throw CheckpointError.usage(file: directory, tensor: tensor.name, "the format keeps that name for itself")
      }
      guard let count = tensor.byteCount else {
        throw CheckpointError.usage(
          file: directory, tensor: tensor.name, "\(tensor.dataType.rawValue) \(tensor.shape) has no whole or representable number of bytes")
      }
      if bytesInLast > 0, count > maximumShardBytes - min(bytesInLast, maximumShardBytes) {
        shards.append([])
        bytesInLast = 0
      }
      shards[shards.count - 1].append(tensor)
      bytesInLast = bytesInLast.addingReportingOverflow(count).partialValue
    }
    var layouts: [SafeTensorsLayout] = []
    for shard in shards {
      guard let layout = SafeTensorsLayout(shard, metadata: metadata) else {
        throw CheckpointError.usage(file: directory, "the tensors together have no representable number of bytes")
      }
      guard layout.header.count - 8 <= SafeTensorsHeader.maximumByteCount else {
        throw CheckpointError.usage(
          file: directory, "the header of a shard takes \(layout.header.count) bytes, more than readers accept",
          remedy: "write smaller shards")
      }
      layouts.append(layout)
    }
    return layouts
  }

  /// A file of an older checkpoint would be read along with the new ones: some loaders take every `model*.safetensors` they find.
  static func refuseLeftovers(in directory: URL) throws(CheckpointError) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: directory.path) else {
      throw CheckpointError.cannotCreate(
        file: directory, "it is no directory that can be listed", remedy: "create it first, or choose another place with --output")
    }
    let found = names.filter { $0.hasPrefix("model") && ($0.hasSuffix(".safetensors") || $0.hasSuffix(".safetensors.index.json")) }
    guard let first = found.min() else { return }
    throw CheckpointError.cannotCreate(
      file: directory.appendingPathComponent(first), "it exists already", remedy: "remove the old checkpoint or choose another place")
  }
}
