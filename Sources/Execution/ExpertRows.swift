import Diagnostics
import ModelGraph

/// One expert of a block, loaded by itself: what it computes on rows that are sent to it.
public struct LoadedExpert {
  private let graph: ModelGraph
  private let nodes: Range<Int>
  private let rows: ValueID
  private let weights: LoadedBlock

  /// - Returns: nil where the block has no such expert.
  public init?(_ expert: Int, of routing: ValueID, in block: Block, of graph: ModelGraph) throws {
    let own = block.nodes.filter { index in
      guard let route = graph[graph.nodes[index].output].route else { return false }
      return route == (routing, expert)
    }
    guard let first = own.first, let last = own.last, case .dispatch = graph.nodes[first].operation else { return nil }
    self.graph = graph
    rows = graph.nodes[first].output
    nodes = first + 1..<last + 1
    weights = try LoadedBlock(Block(kind: block.kind, name: block.name, nodes: nodes), of: graph)
  }

  /// A value that the expert computes, or reads.
  /// - Parameter rows: the rows that were sent to it; they are not changed.
  public func value(_ wanted: ValueID, from rows: Matrix, by interpreter: Interpreter) throws -> Matrix {
    if wanted == self.rows { return rows }
    let run = try interpreter.execute(
      nodes, of: graph, weights: weights, given: [self.rows: rows], sequences: SequenceLayout(lengths: []), keeping: [wanted])
    guard let value = run.values[wanted] else { throw ExecutionError("expert", "does not compute what is asked for", kind: .usage) }
    return value
  }
}
