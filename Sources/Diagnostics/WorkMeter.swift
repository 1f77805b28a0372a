/// Turns work into progress: a stage is made of parts whose cost is known roughly beforehand, and within a part those who do the work tell what
/// they have done.
///
/// The costs are only compared with each other. Operations are compared with the cost of the part they belong to, by the ratio that the parts
/// before it came to: an estimate that is wrong for one kind of work is right from the second part on.
///
/// Work is told to the meter of the code that called, however deep: ``add(_:)`` finds it by a task-local value, so that neither kernels nor
/// passes hand anything on. Without a meter it costs a look-up.
public final class WorkMeter: @unchecked Sendable {
  @TaskLocal private static var current: WorkMeter?

  private let stage: String
  private let costs: [Double]
  /// What all parts before each one cost, and at the end all of them.
  private let before: [Double]
  private let tokens: Int
  private let progress: ProgressHandler?
  private let isInOperations: Bool
  private var part = 0
  /// Operations of the part at work.
  private var operations = 0.0
  private var hasBegun = false
  /// Of the parts that are done and told of operations: these, and their costs.
  private var known = (operations: 0.0, cost: 0.0)
  private var reported = -1.0

  /// The unit of what is reported.
  private static let scale = 1_000_000
  /// A part that is not done is never shown as done, whatever it tells.
  private static let mostOfPart = 0.97

  /// - Parameters:
  ///   - costs: of the parts, in one unit, best in multiply-adds.
  ///   - tokens: of text that the whole stage works through.
  ///   - isInOperations: whether costs are multiply-adds. Where they are not, a part that is not done shows nothing until another was.
  package init(_ stage: String, costs: [Double], tokens: Int = 0, isInOperations: Bool = true, progress: ProgressHandler?) {
    self.stage = stage
    // What costs nothing by the estimate still takes a moment.
    let finite = costs.map { $0.isFinite ? max(0, $0) : 0 }
    let least = max(1e-9, finite.reduce(0, +) * 1e-4 / Double(max(1, costs.count)))
    self.costs = finite.map { max($0, least) }
    before = self.costs.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    self.tokens = tokens
    self.isInOperations = isInOperations
    self.progress = progress
  }

  /// Tells the meter at work, when there is one, of operations that are done: multiply-adds, or what takes as long.
  package static func add(_ operations: @autoclosure () -> Double) {
    guard let current else { return }
    let count = operations()
    guard count.isFinite, count > 0 else { return }
    current.operations += count
    current.report()
  }

  /// Runs work that tells this meter. Where nobody asks for progress, an outer meter keeps being told.
  package func measure<Result>(_ work: () throws -> Result) rethrows -> Result {
    guard progress != nil else { return try work() }
    return try Self.$current.withValue(self, operation: work)
  }

  /// Everything before this part is done.
  package func begin(_ index: Int) {
    let index = min(max(index, 0), costs.count)
    // A run that goes on from the middle has learned nothing of what was done before.
    if hasBegun, index == part + 1, operations > 0 {
      known.operations += operations
      known.cost += costs[part]
    }
    (part, operations, hasBegun) = (index, 0, true)
    report()
  }

  package func finish() { begin(costs.count) }

  /// The share of all work that is done.
  package var share: Double {
    let total = before[costs.count]
    guard part < costs.count, total > 0 else { return 1 }
    let isKnown = known.cost > 0 && known.operations > 0
    let ratio = isKnown ? known.operations / known.cost : 1
    let inside = isKnown || isInOperations ? min(Self.mostOfPart, operations / (costs[part] * ratio)) : 0
    return min(1, (before[part] + inside * costs[part]) / total)
  }

  private func report() {
    guard let progress else { return }
    let share = share
    // Thousands of small pieces need no message each.
    guard share >= 1 || share - reported >= 0.0005 || reported < 0 else { return }
    reported = share
    let completed = part >= costs.count ? Self.scale : min(Self.scale - 1, Int(share * Double(Self.scale)))
    progress(StageProgress(stage: stage, completed: completed, total: Self.scale, tokens: Int(share * Double(tokens))))
  }
}
