import ModelGraph

/// Experts that become one: its members, rising, the one that gives its place and its row of the router, and how much of each goes in.
package struct ExpertCluster: Sendable, Equatable {
  package let members: [Int]
  package let dominant: Int
  /// By member; they add up to 1.
  package let shares: [Float]
}

package enum ExpertClusters {
  /// The experts of a router in as many clusters, of every group as many: the two clusters whose experts lie nearest to each other, on average, become
  /// one until few enough are left (hierarchical clustering with average linkage). Of equally near ones the first do.
  /// - Returns: clusters in the order of their dominant experts.
  package static func clusters(of traits: ExpertTraits, _ routing: Routing, count: Int) -> [ExpertCluster] {
    let groups = routing.groups?.count ?? 1
    let (size, perGroup) = (routing.experts / groups, count / groups)
    return (0..<groups).flatMap { group in
      linked(Array(group * size..<(group + 1) * size), into: perGroup, traits.features).map { cluster($0, traits) }
    }.sorted { $0.dominant < $1.dominant }
  }

  /// Squared distances in double, so that their order does not hang on rounding.
  private static func distance(_ a: [Float], _ b: [Float]) -> Double {
    zip(a, b).reduce(0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }.squareRoot()
  }

  private static func linked(_ experts: [Int], into count: Int, _ features: [[Float]]) -> [[Int]] {
    var clusters = experts.map { [$0] }
    // Between clusters: the mean over pairs, kept up to date as clusters join.
    var distances = experts.map { a in experts.map { b in distance(features[a], features[b]) } }
    while clusters.count > max(1, count) {
      var nearest = (first: 0, second: 1)
      for first in clusters.indices {
        for second in clusters.indices.dropFirst(first + 1)
        where distances[first][second] < distances[nearest.first][nearest.second] {
          nearest = (first, second)
        }
      }
      let (first, second) = nearest
      let (a, b) = (Double(clusters[first].count), Double(clusters[second].count))
      for other in clusters.indices {
        let mean = (a * distances[first][other] + b * distances[second][other]) / (a + b)
        (distances[first][other], distances[other][first]) = (mean, mean)
      }
      clusters[first] = (clusters[first] + clusters[second]).sorted()
      clusters.remove(at: second)
      distances.remove(at: second)
      for row in distances.indices { distances[row].remove(at: second) }
    }
    return clusters
  }

  /// The expert that most tokens go to leads; without text, the one that lies nearest to the others.
  private static func cluster(_ members: [Int], _ traits: ExpertTraits) -> ExpertCluster {
    let counts = members.map { Double(traits.tokens?[$0] ?? 0) }
    let total = counts.reduce(0, +)
    let shares = counts.map { total > 0 ? Float($0 / total) : 1 / Float(members.count) }
    let ranks =
      total > 0
      ? counts
      : members.map { a in -members.reduce(0) { $0 + distance(traits.features[a], traits.features[$1]) } }
    let best = members.indices.max { (ranks[$0], -members[$0]) < (ranks[$1], -members[$1]) } ?? 0
    return ExpertCluster(members: members, dominant: members[best], shares: shares)
  }
}
