import Diagnostics
import ModelGraph

/// What a recording run of a block leaves: its output, and the values between its operations that their gradients are computed from.
///
/// It holds one block's activations. For activation checkpointing over a whole model, keep only each block's input and record again.
public struct BlockTape: Sendable {
  /// What the block computes, `[rows, width]`.
  public let output: Matrix
  let block: Block
  let graph: ModelGraph
  let weights: LoadedBlock
  let tokens: [Int32]
  let sequences: SequenceLayout
  let values: [ValueID: Matrix]
  let routes: [ValueID: RoutedRows]

  func value(_ id: ValueID, of node: Node) throws -> Matrix {
    guard let value = values[id] else { throw ExecutionError(node.scope, "was not recorded", kind: .usage) }
    return value
  }

  func parameter(_ index: Int, of node: Node) throws -> LoadedParameter {
    guard index < node.parameters.count, let parameter = try weights.parameter(node.parameters[index]) else {
      throw ExecutionError(node.scope, "has parameters that were not loaded", kind: .usage)
    }
    return parameter
  }

  /// The values that the gradients of a block's operations look at. Other ones may be overwritten as soon as nothing reads them.
  static func needed(by block: Block, of graph: ModelGraph) -> Set<ValueID> {
    var needed: Set<ValueID> = []
    for node in graph.nodes[block.nodes] {
      switch node.operation {
      case .linear, .rmsNorm, .layerNorm, .dynamicTanh, .activation, .gatedActivation, .magnitude: needed.formUnion(node.inputs)
      case .attention: needed.formUnion(node.inputs + [node.output])
      case .route: needed.formUnion(node.inputs)
      case .combine: needed.formUnion(node.inputs.dropFirst())
      case .embedding, .addRow, .rotary, .add, .scale, .slice, .joinHeads, .dispatch, .latentAttention: break
      }
    }
    return needed
  }
}

/// Gradients of a loss with respect to a block's parameters and to what came into it.
public struct BlockGradients: Sendable {
  /// Of the wanted parameters that the block uses: matrices in their shape, vectors as one row.
  public let parameters: [ParameterID: Matrix]
  /// `[rows, width]`; nil when it was not wanted, and for the block that looks tokens up.
  public let input: Matrix?
}
