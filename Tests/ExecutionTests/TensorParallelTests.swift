import Testing

@testable import Execution

/// Which outputs of a layer each of several processes computes.
@Suite struct TensorParallelTests {
  @Test(arguments: [1, 16, 100, 512, 4096, 12_289], [1, 2, 3, 4, 16])
  func rangesAreAllOutputsOnce(_ outputs: Int, _ count: Int) {
    let ranges = Interpreter.outputRanges(outputs, among: count)
    #expect(ranges.count == count && ranges.flatMap { Array($0) } == Array(0..<outputs))
    let most = ranges.map(\.count).max() ?? 0
    // Nobody has more than a tile above the others' share.
    #expect(most <= outputs / count + 256)
  }
}
