/// The dynamic programme of `BudgetSolver` over the groups, its states a frontier in weight and value.
struct FrontierSearch {
  private struct State {
    var weight: Double
    var value: Double
    /// Which state before it, and by which option.
    var parent: Int32
    var option: Int32
  }

  private let groups: [[BudgetSolver.Option]]
  private let limit: Double
  private let start: LagrangianStart
  private let capacity: Int
  /// Groups in the order they are decided: those where most is at stake first.
  private let order: [Int]

  init(_ groups: [[BudgetSolver.Option]], limit: Double, start: LagrangianStart, capacity: Int) {
    self.groups = groups
    self.limit = limit
    self.start = start
    self.capacity = capacity
    let stakes = groups.map { ($0.first?.value ?? 0) - ($0.last?.value ?? 0) }
    order = groups.indices.sorted { stakes[$0] != stakes[$1] ? stakes[$0] > stakes[$1] : $0 < $1 }
  }

  /// - Returns: the option of each group, and how far from the least its value may be.
  func run() -> (positions: [Int], gap: Double) {
    let multiplier = start.multiplier
    // What the groups from here on add at least to a state's Lagrangian, and to its weight.
    var least = [Double](repeating: 0, count: order.count + 1)
    var lightest = least
    for (place, group) in order.enumerated().reversed() {
      least[place] = least[place + 1] + (groups[group].map { $0.value + multiplier * $0.weight }.min() ?? 0)
      lightest[place] = lightest[place + 1] + (groups[group].first?.weight ?? 0)
    }
    // A hair above the best known, so that rounding of sums cuts off nothing that is as good.
    let ceiling = start.value + 1e-12 * (abs(start.value) + multiplier * abs(limit))
    var levels: [[State]] = [[State(weight: 0, value: 0, parent: -1, option: -1)]]
    var given = Double.infinity
    for (place, group) in order.enumerated() {
      var next: [State] = []
      for (parent, state) in levels[place].enumerated() {
        for (option, choice) in groups[group].enumerated() {
          let (weight, value) = (state.weight + choice.weight, state.value + choice.value)
          guard weight + lightest[place + 1] <= limit else { break }
          guard bound(weight, value, least[place + 1]) <= ceiling else { continue }
          next.append(State(weight: weight, value: value, parent: Int32(parent), option: Int32(option)))
        }
      }
      next = Self.frontier(next)
      if next.count > capacity {
        next.sort { bound($0.weight, $0.value, 0) < bound($1.weight, $1.value, 0) }
        given = min(given, bound(next[capacity].weight, next[capacity].value, least[place + 1]))
        next.removeLast(next.count - capacity)
        next.sort { ($0.weight, $0.value) < ($1.weight, $1.value) }
      }
      levels.append(next)
    }
    // The last of the frontier has the least value.
    guard let best = levels[order.count].indices.last, levels[order.count][best].value <= ceiling else {
      return (start.positions, max(0, start.value - given))
    }
    var positions = start.positions
    var index = best
    for place in order.indices.reversed() {
      let state = levels[place + 1][index]
      positions[order[place]] = Int(state.option)
      index = Int(state.parent)
    }
    return (positions, max(0, levels[order.count][best].value - given))
  }

  private func bound(_ weight: Double, _ value: Double, _ rest: Double) -> Double {
    value + start.multiplier * (weight - limit) + rest
  }

  /// The states that no other beats in both respects, from the lightest on.
  private static func frontier(_ states: [State]) -> [State] {
    var kept: [State] = []
    let sorted = states.sorted { ($0.weight, $0.value, $0.parent, $0.option) < ($1.weight, $1.value, $1.parent, $1.option) }
    for state in sorted where kept.last.map({ state.value < $0.value }) ?? true { kept.append(state) }
    return kept
  }
}
