import Foundation
import StructuredData
import Tensors

extension SafeTensorsFile {
  /// Writes one small file of tensors that are at hand, in one step.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to file: URL
  ) throws(CheckpointError) {
    let output = try prepare(tensors, metadata: metadata, to: file)
    try output.publish()
    try OutputFile.flushDirectory(file.deletingLastPathComponent())
  }

  /// Writes some tensors that are at hand; the file has its name when it is published.
  static func prepare(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String], to file: URL
  ) throws(CheckpointError) -> OutputFile {
    let descriptors = tensors.map { TensorDescriptor(name: $0.name, dataType: $0.tensor.dataType, shape: $0.tensor.shape) }
    let table = NameTable(tensors.map { ($0.name, $0.tensor) })
    if let name = table.duplicate { throw CheckpointError.usage(file: file, tensor: name, "two tensors have this name") }
    guard let layout = SafeTensorsLayout(descriptors, metadata: metadata),
      layout.header.count - 8 <= SafeTensorsHeader.maximumByteCount
    else { throw CheckpointError.usage(file: file, "this is too much for one file") }
    let output = try OutputFile(file, byteCount: layout.header.count + layout.dataCount)
    try output.write(layout.header)
    for entry in layout.entries {
      guard let tensor = table[entry.descriptor.name] else { continue }
      try tensor.withUnsafeBytes { (bytes) throws(CheckpointError) in
        try output.write(bytes, at: layout.header.count + entry.range.lowerBound, tensor: entry.descriptor.name)
      }
    }
    try output.flush()
    return output
  }
}
