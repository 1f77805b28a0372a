import Diagnostics
import Foundation
import Tensors

extension CompressedTensorsEncoding {
  /// Reads the quantized weight of a module. Every part must be there with the type and shape that scheme and format ask for.
  public static func decode(
    module: String, scheme: QuantizationScheme, format: CompressedTensorsFormat, from checkpoint: any Checkpoint
  ) throws(CheckpointError) -> QuantizedTensor {
    try StoredModule(name: module, scheme: scheme, format: format, in: checkpoint).load(from: checkpoint)
  }

  /// A module as a checkpoint holds it, checked without reading its codes.
  struct StoredModule: Sendable {
    let name: String
    let scheme: QuantizationScheme
    let format: CompressedTensorsFormat
    /// `[outputs, inputs]`.
    let shape: Shape

    init(
      name: String, scheme: QuantizationScheme, format: CompressedTensorsFormat, in checkpoint: any Checkpoint
    ) throws(CheckpointError) {
      self.name = name
      self.scheme = scheme
      self.format = format
      let codes = try Self.descriptor(format.isPacked ? .packed : .bytes, of: name, in: checkpoint)
      let scale = try Self.descriptor(.scale, of: name, in: checkpoint)
      guard scheme.scales != .direct || [.float32, .float16, .bfloat16].contains(scale.dataType) else {
        throw CheckpointError.malformed(
          file: checkpoint.file(of: scale.name), tensor: scale.name,
          "scales of type \(scale.dataType.rawValue) are not supported", remedy: "F32, F16 and BF16 are")
      }
      if scheme.levels != .even {
        guard let found = Self.floatShape(codes, scheme) else {
          throw CheckpointError.malformed(file: checkpoint.file(of: codes.name), tensor: codes.name, "it is \(codes.shape), no matrix")
        }
        shape = found
      } else {
        shape = try Self.integerShape(codes, format: format, of: name, in: checkpoint)
      }
      let expected: [TensorDescriptor]
      do throws(CheckpointError) {
        expected = try CompressedTensorsEncoding.descriptors(
          module: name, scheme: scheme, shape: shape, scaleType: scale.dataType, format: format)
      } catch {
        // Asked for by a file rather than by a person: bad data instead of wrong use.
        throw CheckpointError.malformed(file: checkpoint.file(of: codes.name), tensor: codes.name, error.problem)
      }
      for wanted in expected {
        guard let found = checkpoint.descriptor(wanted.name) else { throw Self.missing(wanted.name, of: name, in: checkpoint) }
        guard found.dataType == wanted.dataType, found.shape == wanted.shape else {
          throw CheckpointError.malformed(
            file: checkpoint.file(of: wanted.name), tensor: wanted.name,
            "it is \(found.dataType.rawValue) \(found.shape), but \(scheme.name) of a \(shape) weight has "
              + "\(wanted.dataType.rawValue) \(wanted.shape)",
            remedy: "config.json and the tensors do not belong together")
        }
      }
    }

    /// The digest of the weight. Signed bytes need not be put into another form for it.
    func digest(from checkpoint: any Checkpoint) throws(CheckpointError) -> String {
      guard scheme.levels == .even, format == .intQuantized || format == .naiveQuantized, scheme.bits == 8, scheme.symmetric,
        scheme.activations != .int8Static,
        shape[1] % 4 == 0
      else { return Weight.quantized(try load(from: checkpoint)).digest() }
      let codes = Fingerprint(try checkpoint.tensor(Part.bytes.name(in: name)), mask: 0x80)
      return Weight.digest(
        scheme, shape, codes: codes, scales: try checkpoint.tensor(Part.scale.name(in: name)), zeroPoints: nil, inputScale: nil)
    }

    /// Reads the parts. Packed codes stay a view of the file.
    func load(from checkpoint: any Checkpoint) throws(CheckpointError) -> QuantizedTensor {
      guard scheme.levels == .even else { return try loadFloats(from: checkpoint) }
      func part(_ part: Part) throws(CheckpointError) -> Tensor { try checkpoint.tensor(part.name(in: name)) }
      let stored = try part(format.isPacked ? .packed : .bytes)
      guard let codes = format.isPacked ? stored : CodePacking.packed(signedBytes: stored, bits: scheme.bits) else {
        throw malformed(.bytes, "it holds codes outside \(scheme.codeRange.lowerBound) … \(scheme.codeRange.upperBound)", checkpoint)
      }
      var zeroPoints: Tensor?
      if !scheme.symmetric {
        let points = try part(.zeroPoint)
        zeroPoints = format.isPacked ? CodePacking.signedBytesDownColumns(points, rows: shape[0], bits: scheme.bits) : points
      }
      let scales = try part(.scale)
      var inputScale: Float?
      if scheme.activations == .int8Static {
        guard let scale = try part(.inputScale).float32Values()?.first, scale > 0, scale.isFinite else {
          throw malformed(.inputScale, "it is no positive number", checkpoint)
        }
        inputScale = scale
      }
      guard
        let tensor = QuantizedTensor(
          scheme: scheme, shape: shape, codes: codes, scales: scales, zeroPoints: zeroPoints, inputScale: inputScale)
      else {
        throw malformed(.scale, "its parts do not fit together as \(scheme.name) of shape \(shape)", checkpoint)
      }
      return try tensor.requiringNumbers(scales: Part.scale.name(in: name), in: checkpoint)
    }

    func malformed(_ part: Part, _ problem: String, _ checkpoint: any Checkpoint) -> CheckpointError {
      let name = part.name(in: name)
      return CheckpointError.malformed(file: checkpoint.file(of: name), tensor: name, problem)
    }

    private static func descriptor(
      _ part: Part, of module: String, in checkpoint: any Checkpoint
    ) throws(CheckpointError) -> TensorDescriptor {
      guard let found = checkpoint.descriptor(part.name(in: module)) else {
        throw missing(part.name(in: module), of: module, in: checkpoint)
      }
      return found
    }

    private static func missing(_ tensor: String, of module: String, in checkpoint: any Checkpoint) -> CheckpointError {
      CheckpointError.malformed(
        file: checkpoint.file(of: tensor), tensor: tensor, "it is missing: the quantized module needs it",
        remedy: "fetch the whole checkpoint again")
    }

    private static func integerShape(
      _ codes: TensorDescriptor, format: CompressedTensorsFormat, of name: String, in checkpoint: any Checkpoint
    ) throws(CheckpointError) -> Shape {
      format.isPacked ? try storedShape(of: name, in: checkpoint) : codes.shape
    }

    /// The two numbers of `weight_shape`, which packing does not let one infer: rows are padded to whole words.
    private static func storedShape(of module: String, in checkpoint: any Checkpoint) throws(CheckpointError) -> Shape {
      let described = try descriptor(.shape, of: module, in: checkpoint)
      func malformed(_ problem: String) -> CheckpointError {
        CheckpointError.malformed(file: checkpoint.file(of: described.name), tensor: described.name, problem)
      }
      guard described.dataType == .int64, described.shape == [2] else {
        throw malformed("it is \(described.dataType.rawValue) \(described.shape), not I64 [2]")
      }
      let sizes = try checkpoint.tensor(described.name).withUnsafeBytes { bytes in
        [0, 8].map { Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Int64.self)) }
      }
      guard sizes.allSatisfy({ $0 > 0 && $0 <= Int64(maximumExtent) }) else {
        throw malformed("it says [\(sizes[0]), \(sizes[1])], which is no shape")
      }
      return Shape(sizes.map(Int.init))
    }
  }
}

extension Checkpoint {
  /// The file to name when a tensor is at fault: the one that holds it, or where all of them lie.
  func file(of name: String) -> URL {
    if let checkpoint = self as? SafeTensorsCheckpoint, let file = checkpoint.file(of: name) { return file }
    if let checkpoint = self as? GGUFCheckpoint, let file = checkpoint.file(of: name) { return file }
    return files.count == 1 ? files[0] : files.first?.deletingLastPathComponent() ?? URL(fileURLWithPath: ".")
  }
}
