/// A multiplier for the weights, and a good solution to begin with: options are exchanged in the order of what an exchange gains for its
/// weight, as the linear relaxation would.
struct LagrangianStart {
  /// What a unit of weight is worth at the edge of the limit.
  let multiplier: Double
  /// The option of each group.
  let positions: [Int]
  let value: Double

  private struct Step {
    let group: Int
    let from: Int
    let to: Int
    let gain: Double
    let weight: Double
  }

  /// - Parameter groups: options from the lightest on, values falling.
  /// - Returns: nil when the lightest options exceed the limit.
  init?(_ groups: [[BudgetSolver.Option]], limit: Double) {
    var positions = [Int](repeating: 0, count: groups.count)
    func total() -> (value: Double, weight: Double) {
      zip(groups, positions).reduce(into: (0, 0)) { sum, pair in
        sum.value += pair.0[pair.1].value
        sum.weight += pair.0[pair.1].weight
      }
    }
    guard total().weight <= limit else { return nil }
    let steps = groups.enumerated().flatMap { Self.steps(of: $1, group: $0) }.sorted { first, second in
      let (left, right) = (first.gain * second.weight, second.gain * first.weight)
      return left != right ? left > right : (first.group, first.from) < (second.group, second.from)
    }
    var multiplier = 0.0
    var weight = total().weight
    var isBlocked = [Bool](repeating: false, count: groups.count)
    for step in steps where !isBlocked[step.group] {
      guard weight + step.weight <= limit else {
        if multiplier == 0 { multiplier = step.gain / step.weight }
        isBlocked[step.group] = true
        continue
      }
      weight += step.weight
      positions[step.group] = step.to
    }
    // What room is left takes the single exchange that gains most, as long as there is one.
    while true {
      let (_, used) = total()
      var best: (gain: Double, group: Int, to: Int)?
      for (group, options) in groups.enumerated() {
        let own = options[positions[group]]
        for (to, option) in options.enumerated() where option.value < own.value && used - own.weight + option.weight <= limit {
          if own.value - option.value > best?.gain ?? 0 { best = (own.value - option.value, group, to) }
        }
      }
      guard let best else { break }
      positions[best.group] = best.to
    }
    // Sums in another order may round to the other side of the limit.
    if total().weight > limit { positions = Array(repeating: 0, count: groups.count) }
    self.multiplier = multiplier
    self.positions = positions
    value = total().value
  }

  /// The exchanges along the lower convex hull of a group, each gaining less for its weight than the one before.
  private static func steps(of options: [BudgetSolver.Option], group: Int) -> [Step] {
    var hull: [Int] = []
    for (index, option) in options.enumerated() {
      while hull.count >= 2 {
        let (first, second) = (options[hull[hull.count - 2]], options[hull[hull.count - 1]])
        let left = (first.value - second.value) * (option.weight - second.weight)
        let right = (second.value - option.value) * (second.weight - first.weight)
        guard left <= right else { break }
        hull.removeLast()
      }
      hull.append(index)
    }
    return zip(hull, hull.dropFirst()).map { from, to in
      Step(
        group: group, from: from, to: to, gain: options[from].value - options[to].value,
        weight: options[to].weight - options[from].weight)
    }
  }
}
