import Diagnostics

/// Processes that a plan is made for: how many there are, on how many machines, and how fast they reach each other.
public struct RankLayout: Sendable, Equatable {
  public let ranks: Int
  /// Machines; ranks that follow each other share one.
  public let nodes: Int
  /// Bytes a second from one process to another.
  public let linkRate: Double
  /// Whether nobody said how fast messages are.
  public let isRateAssumed: Bool

  /// What is assumed of messages between processes of one machine: copies in its memory.
  public static let memoryRate = 10e9
  /// What is assumed of messages between machines: Ethernet of ten gigabits.
  public static let networkRate = 1.25e9

  /// - Parameter linkRate: in bytes a second; nil for what is assumed.
  public init(ranks: Int, nodes: Int = 1, linkRate: Double? = nil) throws(RecipeError) {
    guard ranks >= 1, nodes >= 1 else {
      throw RecipeError("\(ranks) ranks on \(nodes) machines", "are none to plan for", remedy: "plan for 1 or more", kind: .usage)
    }
    guard nodes <= ranks else {
      throw RecipeError(
        "\(nodes) machines", "are more than the \(ranks) processes that would be spread over them",
        remedy: "plan for \(nodes) ranks or more",
        kind: .usage)
    }
    if let linkRate, !(linkRate > 0 && linkRate.isFinite) {
      throw RecipeError("the rate of messages", "is \(linkRate) bytes a second", remedy: "give one above 0", kind: .usage)
    }
    (self.ranks, self.nodes, isRateAssumed) = (ranks, nodes, linkRate == nil)
    self.linkRate = linkRate ?? (nodes == 1 ? Self.memoryRate : Self.networkRate)
  }

  /// The machine of a rank.
  public func node(of rank: Int) -> Int { rank * nodes / ranks }

  /// The most ranks that share a machine.
  public var ranksPerNode: Int { (ranks + nodes - 1) / nodes }

  /// Messages one after the other until all processes have what one of them had: it is handed on by those that have it already.
  var rounds: Int { ranks == 1 ? 0 : Int.bitWidth - (ranks - 1).leadingZeroBitCount }
}
