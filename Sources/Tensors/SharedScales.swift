import CKernels

/// Scales that several rows share, as checkpoints store them once.
extension QuantizedTensor {
  /// Scales as they are stored: `[1]` of a whole weight, a row for each row of squares, or `scales` itself.
  package var storedScales: Tensor {
    switch scheme.granularity {
    case .channel, .group: scales
    case .tensor: scales.gatheringRows([0]).reshaped([1]) ?? scales
    case .block(let size): scales.gatheringRows(Array(stride(from: 0, to: outputs, by: size)))
    }
  }

  /// The extent of scales as they are stored.
  package static func storedScaleShape(_ granularity: Granularity, shape: Shape) -> Shape {
    switch granularity {
    case .channel, .group: [shape[0], groupCount(inputs: shape[1], granularity)]
    case .tensor: [1]
    case .block(let size): [(shape[0] + size - 1) / size, groupCount(inputs: shape[1], granularity)]
    }
  }

  /// The scales of every row.
  /// - Parameter stored: of the extent that ``storedScaleShape(_:shape:)`` says.
  package static func scales(fromStored stored: Tensor, _ granularity: Granularity, shape: Shape) -> Tensor? {
    guard shape.rank == 2, stored.shape == storedScaleShape(granularity, shape: shape) else { return nil }
    switch granularity {
    case .channel, .group: return stored
    case .tensor: return stored.reshaped([1, 1])?.gatheringRows(Array(repeating: 0, count: shape[0]))
    case .block(let size): return stored.gatheringRows((0..<shape[0]).map { $0 / size })
    }
  }
}

extension Tensor {
  /// How many bytes are no number as E4M3.
  package var notANumberCountAsE4M3: Int {
    withUnsafeBytes { bytes in
      bytes.bindMemory(to: UInt8.self).baseAddress.map { Int(dso_count_e4m3_nan($0, Int64(bytes.count))) } ?? 0
    }
  }

  /// Exponents of powers of two, a byte each, as float32; 255 is not a number.
  package var powersOfTwo: Tensor? { dataType.bitWidth == 8 ? BlockParts.powers(self) : nil }

  /// The exponents of float32 powers of two, uint8; nil when a value is none from 2^−127 to 2^127.
  package var exponentsOfTwo: Tensor? { BlockParts.exponents(self) }
}
