import Diagnostics
import ModelGraph

extension StructuredPruning {
  /// How many experts of a layer stay: of every group as many, and enough for every token to find its own.
  public func keptExperts(of routing: Routing) -> Int {
    guard experts > 0 else { return routing.experts }
    let groups = routing.groups?.count ?? 1
    let size = routing.experts / groups
    var perGroup = max(1, Int((Double(size) * (1 - experts)).rounded()))
    func serves(_ count: Int) -> Bool {
      var smaller = routing
      smaller.experts = count * groups
      return smaller.isConsistent
    }
    while perGroup < size, !serves(perGroup) { perGroup += 1 }
    return perGroup * groups
  }

  /// The model without the experts that matter least.
  /// - Parameter scores: of the experts of every router; nil where only sizes count.
  /// - Returns: and which stay, by the router.
  package func withoutExperts(
    _ graph: ModelGraph, scores: [ValueID: [Double]]?
  ) throws -> (graph: ModelGraph, kept: [ValueID: [Int]]) {
    var kept: [ValueID: [Int]] = [:]
    for router in graph.routers where keptExperts(of: router.routing) < router.routing.experts {
      let groups = router.routing.groups?.count ?? 1
      let (size, perGroup) = (router.routing.experts / groups, keptExperts(of: router.routing) / groups)
      let values = scores?[router.output] ?? Array(repeating: 0, count: router.routing.experts)
      kept[router.output] = (0..<groups).flatMap { group in
        Self.largest(perGroup, of: Array(values[group * size..<(group + 1) * size])).map { group * size + $0 }
      }
    }
    guard !kept.isEmpty else { return (graph, [:]) }
    return (try graph.keepingExperts(kept, readFrom: { RenamedWeights($0) }, sliced: { SlicedWeights($0) }), kept)
  }

  /// The model in the sizes that it will have, whatever stays: its values are none that are kept.
  package func resized(_ graph: ModelGraph) throws -> ModelGraph {
    let shallower = try withoutLayers(graph, influences: [:]).graph
    return try shrunk(withoutExperts(shallower, scores: nil).graph)
  }

  /// The same of a model that has the layers and experts already that stay.
  package func shrunk(_ graph: ModelGraph) throws -> ModelGraph {
    try graph.keeping(sizes(of: graph).map { ($0.dimension, Array(0..<$0.kept)) }) { SlicedWeights($0) }
  }
}
