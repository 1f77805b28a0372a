import Diagnostics
import Foundation
import Tensors

/// A quantized module as a checkpoint of GPTQ or AWQ holds it, checked without reading its codes.
struct ColumnPackedModule: Sendable {
  let name: String
  let encoding: ColumnPackedEncoding
  let scheme: QuantizationScheme
  /// `[outputs, inputs]`.
  let shape: Shape
  private let hasGroups: Bool

  init(
    name: String, encoding: ColumnPackedEncoding, scheme: QuantizationScheme, in checkpoint: any Checkpoint
  ) throws(CheckpointError) {
    (self.name, self.encoding, self.scheme) = (name, encoding, scheme)
    let codes = try Self.part(.codes, of: name, in: checkpoint)
    let scales = try Self.part(.scales, of: name, in: checkpoint)
    let file = checkpoint.file(of: codes.name)
    guard codes.dataType == .int32, codes.shape.rank == 2, codes.shape[0] > 0, codes.shape[1] > 0,
      codes.shape.dimensions.allSatisfy({ $0 <= ColumnPackedEncoding.maximumExtent })
    else {
      throw CheckpointError.malformed(file: file, tensor: codes.name, "it is \(codes.dataType.rawValue) \(codes.shape), no matrix of words")
    }
    switch encoding {
    case .awq: shape = [codes.shape[1] * 8, codes.shape[0]]
    case .gptq: shape = [codes.shape[1], codes.shape[0] * 32 / scheme.bits]
    }
    guard [.float32, .float16, .bfloat16].contains(scales.dataType) else {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: scales.name), tensor: scales.name, "scales of type \(scales.dataType.rawValue) are not supported",
        remedy: "F16, BF16 and F32 are")
    }
    let expected: [TensorDescriptor]
    do throws(CheckpointError) {
      expected = try encoding.descriptors(module: name, scheme: scheme, shape: shape, scaleType: scales.dataType)
    } catch {
      // Asked for by a file rather than by a person: bad data instead of wrong use.
      throw CheckpointError.malformed(file: file, tensor: codes.name, error.problem)
    }
    hasGroups = checkpoint.descriptor(ColumnPackedEncoding.Part.groups.name(in: name)) != nil
    for wanted in expected {
      guard let found = checkpoint.descriptor(wanted.name) else {
        // Old files have none where inputs keep their order.
        if wanted.name.hasSuffix(ColumnPackedEncoding.Part.groups.rawValue) { continue }
        throw Self.missing(wanted.name, in: checkpoint)
      }
      guard found.dataType == wanted.dataType, found.shape == wanted.shape else {
        throw CheckpointError.malformed(
          file: checkpoint.file(of: wanted.name), tensor: wanted.name,
          "it is \(found.dataType.rawValue) \(found.shape), but \(scheme.name) of a \(shape) weight has "
            + "\(wanted.dataType.rawValue) \(wanted.shape)",
          remedy: "the configuration and the tensors do not belong together")
      }
    }
  }

  /// Reads the parts.
  func load(from checkpoint: any Checkpoint) throws(CheckpointError) -> QuantizedTensor {
    func part(_ part: ColumnPackedEncoding.Part) throws(CheckpointError) -> Tensor { try checkpoint.tensor(part.name(in: name)) }
    try checkGroups(checkpoint)
    let stored = try part(.codes)
    let scales = CodePacking.transposed(try part(.scales))
    let words = try part(.zeroPoints)
    var points: Tensor?
    switch encoding {
    case .awq: points = CodePacking.signedBytes(ofAWQAlongColumns: words)
    case .gptq(let version):
      points = CodePacking.signedBytes(words, columns: shape[0], bits: scheme.bits)
      if version == 1 {
        guard let moved = points.flatMap({ CodePacking.adding(1, to: $0, bits: scheme.bits) }) else {
          throw malformed(
            .zeroPoints,
            "a zero point is \(1 << scheme.bits) once the 1 is added that version 1 leaves out: loaders disagree on what that means",
            checkpoint, remedy: "use a checkpoint in the format gptq_v2")
        }
        points = moved
      }
    }
    points = points.flatMap(CodePacking.transposed)
    if scheme.symmetric {
      guard let read = points, read.withUnsafeBytes({ $0.allSatisfy { $0 == 0 } }) else {
        throw malformed(
          .zeroPoints, "its zero points are not in the middle of the range, though the configuration says that the codes are symmetric",
          checkpoint, remedy: "set \"sym\" to false")
      }
      points = nil
    }
    let codes = encoding == .awq ? CodePacking.rows(ofAWQ: stored) : CodePacking.transposed(stored)
    guard let codes, let scales,
      let tensor = QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: scales, zeroPoints: points)
    else { throw malformed(.codes, "its parts do not fit together as \(scheme.name) of shape \(shape)", checkpoint) }
    return try tensor.requiringNumbers(scales: ColumnPackedEncoding.Part.scales.name(in: name), in: checkpoint)
  }

  /// - Returns: how many bytes it looked at.
  /// - Throws: when inputs that are neighbours belong to other groups than their place says.
  @discardableResult func checkGroups(_ checkpoint: any Checkpoint) throws(CheckpointError) -> Int {
    guard hasGroups, encoding != .awq else { return 0 }
    let groups = try checkpoint.tensor(ColumnPackedEncoding.Part.groups.name(in: name))
    let size = scheme.granularity.groupSize(inputs: shape[1])
    let isPlain = groups.withUnsafeBytes { bytes in
      (0..<shape[1]).allSatisfy { Int(bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) == $0 / size }
    }
    guard isPlain else {
      throw malformed(
        .groups,
        "its groups follow the order of activations (\"desc_act\"), so that inputs which are neighbours have scales of different groups",
        checkpoint, remedy: "use a checkpoint that was quantized with static groups or without act-order, or its values in float16")
    }
    return groups.byteCount
  }

  func malformed(_ part: ColumnPackedEncoding.Part, _ problem: String, _ checkpoint: any Checkpoint, remedy: String = "") -> CheckpointError
  {
    let name = part.name(in: name)
    return CheckpointError.malformed(file: checkpoint.file(of: name), tensor: name, problem, remedy: remedy)
  }

  private static func part(
    _ part: ColumnPackedEncoding.Part, of module: String, in checkpoint: any Checkpoint
  ) throws(CheckpointError) -> TensorDescriptor {
    guard let found = checkpoint.descriptor(part.name(in: module)) else { throw missing(part.name(in: module), in: checkpoint) }
    return found
  }

  private static func missing(_ tensor: String, in checkpoint: any Checkpoint) -> CheckpointError {
    CheckpointError.malformed(
      file: checkpoint.file(of: tensor), tensor: tensor, "it is missing: the quantized module needs it",
      remedy: "fetch the whole checkpoint again")
  }
}
