import Diagnostics
import Synchronization
import Testing

@testable import Distribution

@Suite struct ProcessGroupTests {
  @Test(arguments: [1, 2, 3, 5])
  func whatOneGivesAllHave(_ count: Int) throws {
    let found = try LocalTransport.run(count) { group in
      var results: [[UInt8]] = []
      for root in 0..<group.count {
        let own = [UInt8](repeating: UInt8(root + 1), count: 10 * root + 1)
        results.append(try group.broadcast(group.rank == root ? own : [], from: root))
      }
      return results
    }
    for results in found { #expect(results == (0..<count).map { [UInt8](repeating: UInt8($0 + 1), count: 10 * $0 + 1) }) }
  }

  @Test(arguments: [1, 2, 4])
  func gathersByRank(_ count: Int) throws {
    let found = try LocalTransport.run(count) { group in try group.gather(Array("rank \(group.rank)".utf8)) }
    for results in found { #expect(results == (0..<count).map { Array("rank \($0)".utf8) }) }
  }

  /// Parts of any length, some of them empty.
  @Test(arguments: [1, 2, 4])
  func gathersPartsInPlace(_ count: Int) throws {
    let counts = (0..<count).map { $0 == 1 ? 0 : 3 + $0 }
    let expected = counts.indices.flatMap { [UInt8](repeating: UInt8($0 + 1), count: counts[$0]) }
    let found = try LocalTransport.run(count) { group in
      var bytes = [UInt8](repeating: 0, count: expected.count)
      let start = counts[..<group.rank].reduce(0, +)
      for index in start..<start + counts[group.rank] { bytes[index] = UInt8(group.rank + 1) }
      try bytes.withUnsafeMutableBytes { try group.gather($0, counts: counts) }
      return bytes
    }
    for bytes in found { #expect(bytes == expected) }
  }

  @Test func anyIsTrueForAll() throws {
    #expect(try LocalTransport.run(3) { try $0.any($0.rank == 2) } == [true, true, true])
    #expect(try LocalTransport.run(3) { try $0.any(false) } == [false, false, false])
  }

  @Test func pairsLeaveOthersOut() throws {
    let found = try LocalTransport.run(4) { group -> [UInt8]? in
      guard let pair = group.pair(from: 3, to: 1) else { return nil }
      return try pair.broadcast(pair.isFirst ? [7, 8] : [], from: 0)
    }
    #expect(found == [nil, [7, 8], nil, [7, 8]])
    #expect(ProcessGroup.alone.pair(from: 0, to: 0)?.count == nil)
  }

  /// The others wait for a message that never comes.
  @Test func whoFailsEndsAll() throws {
    let error = #expect(throws: StoppedFailure.self) {
      try LocalTransport.run(3) { group in
        if group.rank == 1 { throw StoppedFailure() }
        _ = try group.gather([1])
      }
    }
    #expect(error != nil)
  }

  /// No process does much more than its share, and all of them come to the same.
  @Test func sharesAreEven() throws {
    let costs = (0..<50).map { Double(($0 * 37) % 11) }
    let found = try LocalTransport.run(3) { group in
      var shares = WorkShares(of: group)
      return costs.map { shares.take($0) }
    }
    #expect(Set(found).count == 1)
    let loads = (0..<3).map { rank in zip(costs, found[0]).reduce(0) { $0 + ($1.1 == rank ? $1.0 : 0) } }
    let difference = (loads.max() ?? 0) - (loads.min() ?? 0)
    #expect(difference <= 11)
  }
}
