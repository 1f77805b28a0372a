import Foundation
import Tensors

extension AdapterReader {
  /// The module of these tensors, in the layout that is used here.
  func assemble(_ module: String, _ parts: Parts, _ factors: AdapterFactors) throws(CheckpointError) -> AdapterModule {
    guard let aName = parts.a, let bName = parts.b else {
      let found = parts.a ?? parts.b ?? parts.magnitude
      let missing = [parts.a == nil ? "A" : nil, parts.b == nil ? "B" : nil].compactMap { $0 }.joined(separator: " and ")
      throw malformed(found, "its module has no factor \(missing)", remedy: "fetch the adapter again: a module needs both factors")
    }
    if configuration.isWeightDecomposed, parts.magnitude == nil {
      throw malformed(
        aName, "its module has no magnitude, but \(configurationFile.lastPathComponent) says DoRA",
        remedy: "fetch the adapter again, or switch DoRA off there")
    }
    if !configuration.isWeightDecomposed, let magnitude = parts.magnitude {
      throw malformed(
        magnitude, "it is a magnitude, but \(configurationFile.lastPathComponent) does not say DoRA",
        remedy: format == .peft ? "set use_dora there" : "set fine_tune_type to \"dora\" there")
    }
    let kind = parts.kind ?? .linear
    if kind == .embedding, let magnitude = parts.magnitude {
      throw malformed(magnitude, "DoRA of an embedding is not supported", remedy: "merge the adapter into its model first")
    }
    var (a, b) = (try matrix(aName), try matrix(bName))
    let expected = factors.rank(of: module)
    for (tensor, name, axis) in [(a, aName, format == .peft ? 0 : 1), (b, bName, format == .peft ? 1 : 0)] {
      guard tensor.shape[axis] == expected else {
        throw malformed(
          name, "its shape \(tensor.shape) has rank \(tensor.shape[axis]), \(configurationFile.lastPathComponent) says \(expected)",
          remedy: format == .peft ? "correct r or rank_pattern there" : "correct lora_parameters.rank there")
      }
    }
    if format == .mlx {
      guard let left = a.transposed(), let right = b.transposed() else {
        throw malformed(aName, "it has no transpose", remedy: "fetch it again")
      }
      (a, b) = (left, right)
    }
    var magnitude: Tensor?
    if let name = parts.magnitude {
      let tensor = try floating(name)
      guard tensor.shape == [b.shape[0]] else {
        throw malformed(
          name, "its shape is \(tensor.shape), not [\(b.shape[0])]", remedy: "fetch it again: it has one number per output row")
      }
      magnitude = tensor
    }
    let scaling = configuration.scaling(rank: expected, alpha: factors.alpha(of: module))
    guard
      let result = AdapterModule(
        name: module, kind: kind, a: a, b: b, magnitude: magnitude, scaling: scaling)
    else { throw malformed(aName, "\(a.shape) and \(b.shape) with scaling \(scaling) make no adapter", remedy: "fetch it again") }
    return result
  }

  private func matrix(_ name: String) throws(CheckpointError) -> Tensor {
    let tensor = try floating(name)
    guard tensor.shape.rank == 2, tensor.shape[0] > 0, tensor.shape[1] > 0 else {
      throw malformed(
        name, "its shape is \(tensor.shape), a factor is a matrix",
        remedy: "adapters of convolutions and of stacked experts are not supported: merge it into its model first")
    }
    return tensor
  }

  private func floating(_ name: String) throws(CheckpointError) -> Tensor {
    let tensor = try weights.tensor(name)
    guard AdapterModule.dataTypes.contains(tensor.dataType) else {
      throw malformed(name, "its type is \(tensor.dataType.rawValue)", remedy: "save the adapter in F32, F16 or BF16")
    }
    return tensor
  }
}
