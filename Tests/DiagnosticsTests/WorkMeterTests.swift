import Diagnostics
import Synchronization
import Testing

@Suite struct WorkMeterTests {
  private final class Listener: Sendable {
    private let steps = Mutex<[StageProgress]>([])
    var handler: ProgressHandler { { step in self.steps.withLock { $0.append(step) } } }
    var all: [StageProgress] { steps.withLock { $0 } }
    var shares: [Double] { all.map(\.share) }
  }

  private func isNear(_ value: Double?, _ expected: Double) -> Bool { abs((value ?? .nan) - expected) < 0.001 }

  /// Parts count by what they cost, not by how many they are.
  @Test func partsAreWeighed() {
    let listener = Listener()
    let meter = WorkMeter("Work", costs: [10, 80, 10], tokens: 1000, progress: listener.handler)
    var shares: [Double] = []
    for part in 0..<3 {
      meter.begin(part)
      shares.append(meter.share)
    }
    meter.finish()
    #expect(zip(shares, [0, 0.1, 0.9]).allSatisfy { isNear($0, $1) })
    #expect(listener.all.last == StageProgress(stage: "Work", completed: 1_000_000, total: 1_000_000, tokens: 1000))
    #expect(listener.all.map(\.tokens) == [0, 100, 900, 1000])
  }

  /// What is told within a part counts at once; in the second one by the ratio that the first came to.
  @Test func operationsMoveAPart() {
    let listener = Listener()
    let meter = WorkMeter("Work", costs: [100, 100], progress: listener.handler)
    meter.measure {
      meter.begin(0)
      WorkMeter.add(50)
      #expect(isNear(meter.share, 0.25))
      // Twice as many as the cost says: the part waits for its end.
      WorkMeter.add(150)
      #expect(isNear(meter.share, 0.97 / 2))
      meter.begin(1)
      WorkMeter.add(100)
      #expect(isNear(meter.share, 0.75))
    }
    meter.finish()
    #expect(meter.share == 1 && listener.shares.last == 1)
    #expect(zip(listener.shares, listener.shares.dropFirst()).allSatisfy { $0 <= $1 })
    // Outside nobody is told.
    WorkMeter.add(1e9)
    #expect(meter.share == 1)
  }

  /// Costs that are no operations say nothing of a part until another was done.
  @Test func unitsAreFoundOut() {
    let meter = WorkMeter("Work", costs: [1, 1, 2], isInOperations: false, progress: Listener().handler)
    meter.measure {
      meter.begin(0)
      WorkMeter.add(500)
      #expect(meter.share == 0)
      meter.begin(1)
      WorkMeter.add(250)
      #expect(isNear(meter.share, 0.375))
    }
  }

  /// A run that goes on from the middle takes no part that it did not do for one that cost nothing.
  @Test func aResumedStageBeginsInTheMiddle() {
    let listener = Listener()
    let meter = WorkMeter("Work", costs: [1, 1, 1, 1], progress: listener.handler)
    meter.measure {
      meter.begin(2)
      WorkMeter.add(0.5)
    }
    #expect(isNear(listener.shares.first, 0.5) && isNear(meter.share, 0.625))
  }

  /// A meter that nobody listens to leaves the one around it at work.
  @Test func metersAreNested() {
    let outer = WorkMeter("Outer", costs: [100], progress: Listener().handler)
    let silent = WorkMeter("Silent", costs: [10], progress: nil)
    let inner = WorkMeter("Inner", costs: [10], progress: Listener().handler)
    outer.begin(0)
    outer.measure {
      silent.measure { WorkMeter.add(20) }
      inner.measure { WorkMeter.add(5) }
    }
    #expect(isNear(outer.share, 0.2) && isNear(inner.share, 0.5) && silent.share == 0)
  }

  @Test(arguments: [[], [0, 0], [Double.nan, 1], [.infinity], [-1, 1]])
  func oddCostsAreNoTrap(_ costs: [Double]) {
    let meter = WorkMeter("Work", costs: costs, progress: Listener().handler)
    for part in [-1, 0, 1, 5] {
      meter.begin(part)
      meter.measure { WorkMeter.add(.nan) }
      #expect((0...1).contains(meter.share) || costs.isEmpty)
    }
    meter.finish()
    #expect(meter.share == 1)
  }

  /// Thousands of pieces make no thousands of messages.
  @Test func messagesAreFew() {
    let listener = Listener()
    let meter = WorkMeter("Work", costs: Array(repeating: 1, count: 100_000), progress: listener.handler)
    for part in 0..<100_000 { meter.begin(part) }
    meter.finish()
    #expect(listener.all.count < 2100 && listener.all.count > 1000)
  }
}
