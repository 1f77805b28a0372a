import Diagnostics
import Distribution
import Foundation
import ModelGraph
import Tensors

extension ProcessGroup {
  /// A weight that one process has, at all of them.
  /// - Parameter weight: nil at the others.
  package func broadcast(_ weight: Weight?, from root: Int) throws -> Weight {
    if isAlone, let weight { return weight }
    let parts = weight?.parts ?? []
    let header = try broadcast(
      rank == root ? Array(JSONEncoder().encode(WeightHeader(weight, parts))) : [], from: root)
    // What this program has encoded, of the same version: every process runs the same.
    let known = try JSONDecoder().decode(WeightHeader.self, from: Data(header))
    let tensors = try known.parts.enumerated().map { index, part in
      if rank == root { return try broadcast(parts[index].tensor, from: root) }
      return try broadcast(Tensor(dataType: part.dataType, shape: Shape(part.shape)) { _ in }, from: root)
    }
    if let weight, rank == root { return weight }
    guard let result = known.weight(tensors) else {
      throw CompressionError("process \(root)", "sent a weight that is not whole", remedy: "run again", kind: .inputOutput)
    }
    return result
  }

  private func broadcast(_ tensor: Tensor, from root: Int) throws -> Tensor {
    if rank == root {
      try tensor.withUnsafeBytes { try broadcast(UnsafeMutableRawBufferPointer(mutating: $0), from: root) }
      return tensor
    }
    return try Tensor(dataType: tensor.dataType, shape: tensor.shape) { try broadcast($0, from: root) }
  }
}

/// What of a weight is not its bytes.
private struct WeightHeader: Codable {
  struct Part: Codable {
    let role: Weight.Role
    let dataType: DataType
    let shape: [Int]
  }

  let scheme: QuantizationScheme?
  let shape: [Int]
  let inputScale: Float?
  let parts: [Part]

  init(_ weight: Weight?, _ parts: [(role: Weight.Role, tensor: Tensor)]) {
    if case .quantized(let tensor)? = weight {
      (scheme, inputScale) = (tensor.scheme, tensor.inputScale)
    } else {
      (scheme, inputScale) = (nil, nil)
    }
    shape = weight?.shape.dimensions ?? []
    self.parts = parts.map { Part(role: $0.role, dataType: $0.tensor.dataType, shape: $0.tensor.shape.dimensions) }
  }

  func weight(_ tensors: [Tensor]) -> Weight? {
    let found = Dictionary(zip(parts.map(\.role), tensors)) { first, _ in first }
    guard let scheme else { return found[.values].map(Weight.dense) }
    guard let codes = found[.codes] else { return nil }
    if let shared = found[.shared], let scaleCodes = found[.scaleCodes] {
      return QuantizedTensor(
        scheme: scheme, shape: Shape(shape), codes: codes,
        parts: ScaleParts(
          shared: shared, sharedMinima: found[.sharedMinima], codes: scaleCodes, minimumCodes: found[.minimumCodes])
      ).map(Weight.quantized)
    }
    guard let scales = found[.scales] else { return nil }
    return QuantizedTensor(
      scheme: scheme, shape: Shape(shape), codes: codes, scales: scales, zeroPoints: found[.zeroPoints], minima: found[.minima],
      inputScale: inputScale
    ).map(Weight.quantized)
  }
}

extension Weight {
  fileprivate enum Role: String, Codable {
    case values, codes, scales, zeroPoints, minima, shared, sharedMinima, scaleCodes, minimumCodes
  }

  /// The tensors that it is made of.
  fileprivate var parts: [(role: Role, tensor: Tensor)] {
    switch self {
    case .dense(let tensor): return [(.values, tensor)]
    case .quantized(let tensor):
      let all: [(Role, Tensor?)] =
        if let parts = tensor.parts {
          [
            (.codes, tensor.codes), (.shared, parts.shared), (.sharedMinima, parts.sharedMinima), (.scaleCodes, parts.codes),
            (.minimumCodes, parts.minimumCodes),
          ]
        } else {
          [(.codes, tensor.codes), (.scales, tensor.scales), (.zeroPoints, tensor.zeroPoints), (.minima, tensor.minima)]
        }
      return all.compactMap { role, tensor in tensor.map { (role, $0) } }
    }
  }
}
