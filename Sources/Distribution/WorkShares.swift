/// Pieces of work that go to whoever has had least to do, one after the other: every process comes to the same division.
public struct WorkShares: Sendable {
  private var loads: [Double]

  public init(of group: ProcessGroup) { self.init(among: group.count) }

  /// The division that so many processes would come to.
  public init(among count: Int) { loads = Array(repeating: 0, count: max(1, count)) }

  /// Who does the next piece. What costs nothing is the first process's.
  public mutating func take(_ cost: Double) -> Int {
    guard cost > 0 else { return 0 }
    let rank = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) } ?? 0
    loads[rank] += cost
    return rank
  }
}
