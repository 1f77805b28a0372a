import Architectures
import Diagnostics
import Distribution
import Formats
import Foundation
import ModelGraph

extension OutputDirectory {
  /// Weights on their way into safetensors here; of several processes each writes some.
  /// - Parameter source: the model that they come from.
  func weights(of layout: OutputLayout, from source: ModelGraph) throws -> WeightOutput {
    try WeightOutput(layout, in: group, from: source) { role in
      try SafeTensorsWriter(directory: partial, tensors: layout.tensors, role: role)
    }
  }

  /// Opens what was written, and compares what is read again with what it was written from.
  /// - Returns: what was written, and what the report says of values in it that are no numbers.
  func reopened(
    of model: ModelBundle, with weights: WeightOutput, progress: ProgressHandler?
  ) throws -> (written: ModelBundle, warnings: [String]) {
    try synchronize()
    let written = try ModelBundle(opening: partial.path, families: model.families)
    return (written, try WeightOutput.compare(written, with: weights.digests, in: group, progress: progress))
  }
}
