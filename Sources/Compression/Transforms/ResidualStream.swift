import Diagnostics
import ModelGraph

/// The values that a decoder's blocks add to, and everything that reads or writes them, found from the graph.
///
/// Its features may be turned by any orthogonal matrix when all writers are linear, and all readers are linear behind a root-mean-square
/// norm, which no rotation changes once its gain is moved into the readers.
struct ResidualStream {
  /// One linear layer that reads the stream.
  struct Reader {
    let node: Node
    let weight: ParameterID
    /// The gain of the norm between; nil where there is none.
    let gain: ParameterID?
  }

  let width: Int
  let embedding: ParameterID
  private(set) var readers: [Reader] = []
  private(set) var gains: [ParameterID] = []
  /// Layers whose outputs are added to it.
  private(set) var writers: [Node] = []

  /// - Throws: a graph in which something else touches the stream.
  init(of graph: ModelGraph) throws(CompressionError) {
    guard let first = graph.nodes.first, case .embedding = first.operation, let width = graph[first.output].width,
      let table = first.parameters.first
    else { throw Self.refusal("the model", "does not start from an embedding") }
    self.width = width
    embedding = table
    var stream: Set<ValueID> = [first.output]
    var normed: [ValueID: ParameterID] = [:]
    for node in graph.nodes.dropFirst() {
      let touches = node.inputs.contains { stream.contains($0) || normed[$0] != nil }
      guard touches else { continue }
      switch node.operation {
      case .rmsNorm(_, let run) where run == width && stream.contains(node.inputs[0]):
        guard let gain = node.parameters.first, !gains.contains(gain) else {
          throw Self.refusal(node.scope, "shares its gain with another norm")
        }
        gains.append(gain)
        normed[node.output] = gain
      case .linear:
        guard let weight = node.parameters.first, !readers.contains(where: { $0.weight == weight }) else {
          throw Self.refusal(node.scope, "shares its weight with another layer")
        }
        readers.append(Reader(node: node, weight: weight, gain: normed[node.inputs[0]]))
      case .add:
        for branch in node.inputs where !stream.contains(branch) {
          guard let writer = graph.producer(of: branch), case .linear = writer.operation, graph.readers(of: branch).count == 1,
            !writers.contains(where: { $0.output == branch })
          else { throw Self.refusal(node.scope, "adds what is not the output of one linear layer") }
          writers.append(writer)
        }
        stream.insert(node.output)
      default:
        throw Self.refusal(node.scope, "reads the residual stream by \(node.operation.name), which a rotation does not pass through")
      }
    }
    let weights = readers.map(\.weight) + writers.flatMap(\.parameters)
    guard !stream.contains(graph.output), normed[graph.output] == nil, Set(weights).count == weights.count else {
      throw Self.refusal("the model", "reads and writes its residual stream in a way that cannot be rotated")
    }
  }

  private static func refusal(_ subject: String, _ problem: String) -> CompressionError {
    CompressionError(subject, problem, remedy: "leave the rotation out for this family", kind: .usage)
  }
}
