import Diagnostics
import Formats
import Foundation
import ModelGraph
import Tensors

extension GGUFOutput {
  func check(_ layout: OutputLayout) throws {
    // What the model computes with must be in the file; what files do without is beside that.
    for id in layout.blocks.joined() {
      guard let entry = layout.parameters[id], entry.tensors.isEmpty else { continue }
      throw refused("has no tensor for \(entry.name), which the model computes with", "use --format safetensors or compressed-tensors")
    }
    _ = try announcements(layout)
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    let announcements = try announcements(layout)
    var metadata = gguf.metadata(
      name: name, sizeLabel: GGUFModel.sizeLabel(of: announcements.map { ($0.name, $0.dimensions) }), fileType: fileType(layout),
      pooling: pooling)
    if let tokenizer { metadata.merge(tokenizer.metadata) }
    let writer = try GGUFWriter(
      creating: output.directory.appendingPathComponent(Self.fileName), metadata: metadata, tensors: announcements, role: output.role,
      resumingAfter: output.written, observer: output.observer)
    if output.written != nil { try writer.suspend() }
    guard output.role == .owner else { return writer }
    for tensor in gguf.synthesizedTensors { try writer.write(tensor.name, Tensor(tensor.values, shape: [tensor.values.count])) }
    return writer
  }

  static let noTokenizer = "the model has no tokenizer to write: llama.cpp does not load a file without one, this program does"

  /// The tensors of the file, stacks in one.
  /// - Throws: when experts of a stack differ, or one is missing.
  private func announcements(_ layout: OutputLayout) throws -> [GGUFAnnouncement] {
    var announcements = gguf.synthesizedTensors.map { GGUFAnnouncement(name: $0.name, type: .f32, dimensions: [$0.values.count]) }
    var stacks: [String: (place: Int, missing: Set<Int>)] = [:]
    for entry in layout.entries {
      for (placement, descriptor) in zip(try gguf.placements(of: entry.name), entry.tensors) {
        guard let type = type(entry.storage) else { throw refused("cannot hold \(entry.name)", "--ignore it") }
        let dimensions = try placement.transform.tensorShape(of: entry.shape.dimensions)
        guard case .slice(let index, let count) = placement.transform else {
          announcements.append(GGUFAnnouncement(name: placement.tensor, type: type, dimensions: dimensions))
          continue
        }
        guard let stack = stacks[placement.tensor] else {
          stacks[placement.tensor] = (announcements.count, Set(0..<count).subtracting([index]))
          announcements.append(
            GGUFAnnouncement(
              name: placement.tensor, type: type, dimensions: dimensions,
              parts: (0..<count).map { Self.key(placement.tensor, slice: $0) }))
          continue
        }
        stacks[placement.tensor]?.missing.remove(index)
        let first = announcements[stack.place]
        guard first.type == type, first.dimensions == dimensions else {
          throw refused(
            "keeps the \(count) experts of a layer in one tensor, which has one type: \(descriptor.name) would be \(type.name) among "
              + "\(first.type.name) (expert \(index))",
            "give all experts of a layer the same bits")
        }
      }
    }
    for (tensor, stack) in stacks.sorted(by: { $0.key < $1.key }) {
      guard let index = stack.missing.min() else { continue }
      throw RecipeError(tensor, "lacks expert \(index)", remedy: "fetch the checkpoint again", kind: .badData)
    }
    return announcements
  }

  /// `general.file_type`: how most weights are stored, by llama.cpp's numbers.
  private func fileType(_ layout: OutputLayout) -> UInt32 {
    var counts: [GGUFType: Int] = [:]
    for entry in layout.entries where entry.shape.rank == 2 {
      if let type = type(entry.storage) { counts[type, default: 0] += entry.shape.elementCount }
    }
    let most = counts.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key
    return most?.fileType ?? 0
  }
}

extension GGUFType {
  /// llama.cpp's number of files that are mostly of this type; 0 (all float32) for types without one.
  fileprivate var fileType: UInt32 {
    switch self {
    case .f16: 1
    case .q4_0: 2
    case .q4_1: 3
    case .q8_0: 7
    case .q5_0: 8
    case .q5_1: 9
    case .q2_K: 10
    case .q3_K: 12
    case .q4_K: 15
    case .q5_K: 17
    case .q6_K: 18
    case .iq4_NL: 25
    case .bf16: 32
    case .mxfp4: 38
    default: 0
    }
  }
}
