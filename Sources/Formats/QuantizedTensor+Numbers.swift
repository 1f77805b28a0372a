import Diagnostics
import Foundation
import Tensors

extension QuantizedTensor {
  /// The weight itself: whoever reads one from a file of any format asks for it here.
  /// - Parameters:
  ///   - tensors: where the scales are, and where the minima, for errors to name.
  ///   - checkpoint: that they are in.
  /// - Throws: when a scale or a minimum is infinite or not a number, and its weights were none.
  func requiringNumbers(scales: String, minima: String? = nil, in checkpoint: any Checkpoint) throws(CheckpointError) -> QuantizedTensor {
    for (what, tensor, name) in [("scales", self.scales, scales), ("minima", self.minima, minima ?? scales)] {
      guard let tensor, case let count = tensor.notFiniteCount, count > 0 else { continue }
      throw CheckpointError.malformed(
        file: checkpoint.file(of: name), tensor: name, "\(count) of its \(tensor.shape.elementCount) \(what) are no numbers",
        remedy: "it is damaged, or its quantization failed: fetch it again, or take another checkpoint")
    }
    return self
  }
}
