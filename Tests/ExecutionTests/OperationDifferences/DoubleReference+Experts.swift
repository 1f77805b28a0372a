import Foundation
import ModelGraph

/// Heads taken apart and experts. What a router chose is a grid of weights `[tokens, experts]` here, with 0 for those that were not chosen.
extension DoubleReference {
  static func slice(_ x: Grid, _ slice: HeadSlice) -> Grid {
    let columns = (0..<slice.heads).flatMap { head in (0..<slice.count).map { head * slice.width + slice.start + $0 } }
    return Grid(rows: x.rows, columns: columns.count, values: (0..<x.rows).flatMap { row in columns.map { x[row, $0] } })
  }

  static func join(_ left: Grid, _ right: Grid, _ join: HeadJoin) -> Grid {
    let values = (0..<left.rows).flatMap { row in
      (0..<join.heads).flatMap { head in
        (0..<join.left).map { left[row, head * join.left + $0] }
          + (0..<join.right).map { right[row, (join.sharesRight ? 0 : head * join.right) + $0] }
      }
    }
    return Grid(rows: left.rows, columns: join.heads * (join.left + join.right), values: values)
  }

  static func route(_ scores: Grid, correction: Grid?, _ routing: Routing) -> Grid {
    var result = Grid(rows: scores.rows, columns: scores.columns)
    for row in 0..<scores.rows {
      let raw = Array(scores.row(row))
      let total = raw.reduce(0) { $0 + exp($1) }
      let shares = raw.map { routing.scoring == .sigmoid ? 1 / (1 + exp(-$0)) : exp($0) / total }
      let choice = shares.indices.map { shares[$0] + (correction?.values[$0] ?? 0) }
      var open = Set(shares.indices)
      if let groups = routing.groups {
        let size = shares.count / groups.count
        let ranks = (0..<groups.count).map { group in
          choice[group * size..<(group + 1) * size].sorted(by: >).prefix(groups.rank == .bestTwo ? 2 : 1).reduce(0, +)
        }
        let kept = Set(ranks.indices.sorted { ranks[$0] > ranks[$1] }.prefix(groups.kept))
        open = open.filter { kept.contains($0 / size) }
      }
      let chosen = open.sorted { choice[$0] > choice[$1] }.prefix(routing.selected)
      let sum = routing.normalized ? chosen.reduce(0) { $0 + shares[$1] } : 1
      for expert in chosen { result[row, expert] = shares[expert] / sum * Double(routing.scale) }
    }
    return result
  }

  static func combine(_ weights: Grid, _ outputs: [Grid], width: Int) -> Grid {
    var result = Grid(rows: weights.rows, columns: width)
    for (expert, output) in outputs.enumerated() {
      let rows = (0..<weights.rows).filter { weights[$0, expert] != 0 }
      for (place, row) in rows.enumerated() {
        for column in 0..<width { result[row, column] += weights[row, expert] * output[place, column] }
      }
    }
    return result
  }
}
