import Diagnostics
import Execution
import ModelGraph

extension ModuleReplacement {
  /// The model with its experts merged. Each cluster's leads with its row of the router and its correction; the average has its place.
  /// - Parameter traits: what experts are compared by; nil to take the first ones as they are, for the sizes alone.
  /// - Returns: and the clusters, by the router.
  package func mergingExperts(
    _ graph: ModelGraph, traits: [ValueID: ExpertTraits]?, pool: ThreadPool
  ) throws -> (graph: ModelGraph, clusters: [ValueID: [ExpertCluster]]) {
    guard mergeExperts > 0 else { return (graph, [:]) }
    var clusters: [ValueID: [ExpertCluster]] = [:]
    for router in graph.routers {
      let plain = ExpertTraits(features: Array(repeating: [], count: router.routing.experts))
      clusters[router.output] = ExpertClusters.clusters(
        of: traits?[router.output] ?? plain, router.routing, count: mergeExperts)
    }
    var result = try graph.keepingExperts(
      clusters.mapValues { $0.map(\.dominant) }, readFrom: { RenamedWeights($0) }, sliced: { SlicedWeights($0) })
    guard traits != nil else { return (result, clusters) }
    var merged: [AveragedExperts.Merged] = []
    var targets: [ParameterID] = []
    for router in graph.routers {
      for (place, cluster) in (clusters[router.output] ?? []).enumerated() where cluster.members.count > 1 {
        let ids = result.parameters(ofExpert: place, by: router.output)
        merged.append(
          AveragedExperts.Merged(
            names: ids.map { result[$0].name },
            members: zip(cluster.members, cluster.shares).map { expert, share in
              .init(parameters: graph.parameters(ofExpert: expert, by: router.output).map { graph[$0] }, share: share)
            },
            dominant: cluster.members.firstIndex(of: cluster.dominant) ?? 0))
        targets += ids
      }
    }
    let source = AveragedExperts(merged, pool: pool)
    for id in targets { try result.redirect(id, to: source) }
    return (result, clusters)
  }
}

extension ModelGraph {
  /// The parameters of an expert's nodes, in their order.
  fileprivate func parameters(ofExpert expert: Int, by routing: ValueID) -> [ParameterID] {
    nodes.filter { node in self[node.output].route.map { $0 == (routing, expert) } ?? false }.flatMap(\.parameters)
  }
}
