import Tensors

/// What work on a model costs, roughly: good enough to tell parts of a run from each other in a progress bar, and used for nothing else.
extension ModelGraph {
  /// Multiply-adds of the linear layers of a block for that many tokens. Of the experts of a mixture as many count as a token goes to.
  package func operations(of block: Block, tokens: Int) -> Double {
    linears(of: block).reduce(0) { $0 + activeWeights($1.weight, in: block) } * Double(tokens)
  }

  /// Weights of the linear layers of a block.
  package func linearWeights(of block: Block) -> Double {
    linears(of: block).reduce(0) { $0 + Double(self[$1.weight].shape.elementCount) }
  }

  /// All values that a block brings along.
  package func storedValues(of block: Block) -> Double {
    parameters(of: block).reduce(0) { $0 + Double(self[$1].shape.elementCount) }
  }

  private func activeWeights(_ weight: ParameterID, in block: Block) -> Double {
    let count = Double(self[weight].shape.elementCount)
    guard self[weight].role.isRoutedExpert else { return count }
    for node in nodes[block.nodes] {
      if case .route(let routing) = node.operation { return count * Double(routing.selected) / Double(max(1, routing.experts)) }
    }
    return count
  }
}
