import Foundation
import Tensors

/// A model in GGUF: one file, or files that llama.cpp's `gguf-split` made of one.
///
/// Tensors of plain numbers come as they are. Those in blocks come as bytes, `uint8` of shape `[…, bytes of a row]`: `entry(_:)` tells
/// their type and dimensions.
public struct GGUFCheckpoint: Checkpoint {
  private struct Holder {
    let part: Int
    let tensor: GGUFTensor
  }

  private let parts: [GGUFFile]
  private let holders: NameTable<Holder>

  /// Metadata, of the first file where there are several.
  public var gguf: GGUFMetadata { parts[0].metadata }

  /// Opens a file, all the files that belong together when it is one of them, or what the only model in a directory is.
  /// - Parameter extent: whether files may end behind their headers.
  public init(_ location: URL, extent: CheckpointExtent = .complete) throws(CheckpointError) {
    let parts = try Self.open(location, extent)
    let entries = parts.enumerated().flatMap { number, part in
      part.tensors.map { NameTable<Holder>.Entry(name: $0.name, value: Holder(part: number, tensor: $0)) }
    }
    holders = NameTable(entries)
    self.parts = parts
    if let name = holders.duplicate {
      let files = parts.filter { $0.tensors.contains { TensorName($0.name) == TensorName(name) } }.map(\.file.lastPathComponent)
      throw CheckpointError.malformed(
        file: parts[0].file, tensor: name, "it is in \(files.joined(separator: " and in "))", remedy: "fetch the files again")
    }
  }

  public var descriptors: [TensorDescriptor] { holders.entries.map(\.value.tensor.descriptor) }
  public var files: [URL] { parts.map(\.file) }
  public var holdsValues: Bool { parts.allSatisfy(\.holdsValues) }
  /// The texts among the metadata.
  public var metadata: [String: String] {
    gguf.entries.reduce(into: [:]) { texts, entry in
      if case .string(let text) = entry.value { texts[entry.key] = text }
    }
  }

  /// The tensors in the order of the files.
  public var tensors: [GGUFTensor] { parts.flatMap(\.tensors) }

  /// How a tensor is stored, and where in its file.
  public func entry(_ name: String) -> GGUFTensor? { holders[name]?.tensor }

  /// The file that holds a tensor.
  public func file(of name: String) -> URL? { holders[name].map { parts[$0.part].file } }

  public func descriptor(_ name: String) -> TensorDescriptor? { entry(name)?.descriptor }

  public func tensor(_ name: String) throws(CheckpointError) -> Tensor {
    guard let holder = holders[name] else { throw CheckpointError.missingTensor(name, in: parts[0].file) }
    let (part, descriptor) = (parts[holder.part], holder.tensor.descriptor)
    guard
      let tensor = Tensor(
        viewing: part.mapping, offset: holder.tensor.range.lowerBound, byteCount: holder.tensor.range.count,
        dataType: descriptor.dataType, shape: descriptor.shape)
    else {
      throw CheckpointError.malformed(
        file: part.file, tensor: name, part.holdsValues ? "its range lies outside the file" : "the file holds its header alone",
        remedy: part.holdsValues ? "" : "fetch the whole file; headers are enough for --dry-run only")
    }
    return tensor
  }

  /// Gives the memory of a tensor back: its pages leave the process and are read from the file again when they are touched after all.
  public func release(_ name: String) {
    if let holder = holders[name] { parts[holder.part].mapping.advise(.doNotNeed, holder.tensor.range) }
  }
}
