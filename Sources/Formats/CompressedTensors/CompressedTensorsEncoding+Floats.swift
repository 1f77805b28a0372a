import Diagnostics
import Tensors

extension CompressedTensorsEncoding {
  /// The tensors of a module whose codes are floats.
  static func floatParts(
    _ scheme: QuantizationScheme, shape: Shape, scaleType: DataType
  ) -> [(part: Part, type: DataType, shape: Shape)] {
    let scales = QuantizedTensor.storedScaleShape(scheme.granularity, shape: shape)
    switch scheme.scales {
    case .powerOfTwo: return [(.packed, .uint8, [shape[0], shape[1] / 2]), (.scale, .uint8, scales)]
    case .float8: return [(.packed, .uint8, [shape[0], shape[1] / 2]), (.scale, .float8E4M3, scales), (.globalScale, .float32, [1])]
    case .direct, .superblock: return [(.bytes, .float8E4M3, shape), (.scale, scaleType, scales)]
    }
  }

  /// The values of one of them.
  static func floatValues(_ part: Part, of tensor: QuantizedTensor) -> Tensor? {
    switch part {
    case .packed: CodePacking.bytes(tensor.codes, columns: tensor.inputs, bits: 4, as: .uint8)
    case .bytes: CodePacking.bytes(tensor.codes, columns: tensor.inputs, bits: 8, as: .float8E4M3)
    case .scale:
      switch tensor.scheme.scales {
      case .powerOfTwo: tensor.scales.exponentsOfTwo
      case .float8: tensor.parts?.codes
      case .direct, .superblock: tensor.storedScales
      }
    case .globalScale: tensor.parts?.shared.reshaped([1])
    case .shape, .zeroPoint, .inputScale: nil
    }
  }
}

extension CompressedTensorsEncoding.StoredModule {
  /// The shape of a weight whose codes are floats: rows have no padding.
  static func floatShape(_ codes: TensorDescriptor, _ scheme: QuantizationScheme) -> Shape? {
    guard codes.shape.rank == 2 else { return nil }
    let (inputs, overflows) = codes.shape[1].multipliedReportingOverflow(by: scheme.bits == 4 ? 2 : 1)
    return overflows ? nil : [codes.shape[0], inputs]
  }

  /// Reads the parts of one whose codes are floats. Codes stay a view of the file where they can.
  func loadFloats(from checkpoint: any Checkpoint) throws(CheckpointError) -> QuantizedTensor {
    func part(_ part: CompressedTensorsEncoding.Part) throws(CheckpointError) -> Tensor { try checkpoint.tensor(part.name(in: name)) }
    let stored = try part(format.isPacked ? .packed : .bytes)
    if scheme.levels == .float8, stored.notANumberCountAsE4M3 > 0 {
      throw malformed(.bytes, "\(stored.notANumberCountAsE4M3) of its weights are NaN", checkpoint)
    }
    let (scales, codes) = (try part(.scale), CodePacking.codes(ofBytes: stored, columns: shape[1], bits: scheme.bits))
    var tensor: QuantizedTensor?
    switch scheme.scales {
    case .powerOfTwo:
      if let powers = scales.powersOfTwo, let codes {
        tensor = QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: powers)
      }
    case .float8:
      let divisor = try part(.globalScale)
      guard let value = divisor.float32Values()?.first, value > 0, value.isFinite else {
        throw malformed(.globalScale, "it is no positive number", checkpoint)
      }
      tensor = codes.flatMap {
        QuantizedTensor(scheme: scheme, shape: shape, codes: $0, parts: ScaleParts(shared: divisor, codes: scales))
      }
    case .direct, .superblock:
      let expanded = QuantizedTensor.scales(fromStored: scales, scheme.granularity, shape: shape)
      if let expanded, let codes { tensor = QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: expanded) }
    }
    guard let tensor else { throw malformed(.scale, "its parts do not fit together as \(scheme.name) of shape \(shape)", checkpoint) }
    return try tensor.requiringNumbers(scales: CompressedTensorsEncoding.Part.scale.name(in: name), in: checkpoint)
  }
}
