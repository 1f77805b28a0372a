import Diagnostics
import Tensors

extension ModelGraph {
  /// Looks for what makes a model's activations, losses or gradients no numbers: the first of some parameters that holds NaN or infinities itself.
  /// Reads weights until it has found one; those that cannot be read any more are passed over.
  /// - Parameter candidates: in the order to look through; nil for all of the model.
  /// - Returns: what to tell of it; nil where all that was looked at are numbers.
  package func notFinite(among candidates: [ParameterID]? = nil) -> (any Failure)? {
    for id in candidates ?? Array(parameterIDs) {
      let count = (try? self[id].load())?.notFiniteCount ?? 0
      self[id].releasePages()
      if count > 0 {
        return GraphError(
          tensor: self[id].name, "has \(count) weights that are NaN or infinite", remedy: "repair the checkpoint, or fetch it again")
      }
    }
    return nil
  }

  /// The same among what a block uses and what comes before it.
  package func notFinite(upTo block: Block) -> (any Failure)? {
    let end = block.nodes.upperBound
    return notFinite(among: blocks.filter { $0.nodes.lowerBound < end }.flatMap { parameters(of: $0) })
  }
}

extension Weight {
  /// How many values, or scales and minima of codes, are infinite or not a number.
  package var notFiniteCount: Int {
    switch self {
    case .dense(let tensor): tensor.notFiniteCount
    case .quantized(let tensor): tensor.scales.notFiniteCount + (tensor.minima?.notFiniteCount ?? 0)
    }
  }
}
