import Architectures
import Distribution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Synchronization
import Tensors
import Testing

@testable import Execution

/// Several processes that run the same rows, each with a part of every layer's outputs.
@Suite struct TensorParallelTests {
  @Test(arguments: [1, 16, 100, 512, 4096, 12_289], [1, 2, 3, 4, 16])
  func rangesAreAllOutputsOnce(_ outputs: Int, _ count: Int) {
    let ranges = Interpreter.outputRanges(outputs, among: count)
    #expect(ranges.count == count && ranges.flatMap { Array($0) } == Array(0..<outputs))
    let most = ranges.map(\.count).max() ?? 0
    // Nobody has more than a tile above the others' share.
    #expect(most <= outputs / count + 256)
  }

  /// What a process did not ask for is no number: whoever looks at it spoils the result.
  @Test(arguments: GoldenModel.names)
  func ownRowsAreAllThatIsRead(_ name: String) throws {
    let folder = GoldenModel.fixtures.appendingPathComponent(name)
    let windows = (0..<3).map { window in
      (0..<12).map { token -> Int32 in
        let place = token * 7 + window * 5
        return Int32(place % 30 + 1)
      }
    }
    @Sendable func states(_ group: ProcessGroup, _ source: any WeightSource) throws -> [[UInt32]] {
      let text = try String(contentsOf: folder.appendingPathComponent("config.json"), encoding: .utf8)
      let graph = try ArchitectureCatalog.graph(configuration: JSONValue(parsing: text), weights: source).graph
      var stream = ForwardStream(interpreter: Interpreter(pool: ThreadPool(threads: 1), group: group, tensorParallel: true))
      stream.batchRows = 12
      return try stream.hidden(of: graph, windows: windows, divided: true).map { state in
        (0..<state.matrix.rows * state.matrix.columns).map { state.matrix.pointer[$0].bitPattern }
      }
    }
    let plain = try PlainSource(checkpoint: SafeTensorsCheckpoint(folder.appendingPathComponent("model.safetensors")))
    let expected = try states(.alone, plain)
    #expect(expected.count == 3)
    for count in 2...4 {
      let found = try LocalTransport.run(count) { group in
        let source = OwnRowsSource(base: plain)
        return (states: try states(group, source), partial: source.partial, experts: source.experts)
      }
      // Batch by batch, each from the process that keeps it.
      for batch in expected.indices {
        let states = found[batch % count].states
        #expect(states[batch / count] == expected[batch], "batch \(batch) of \(count) processes")
      }
      for process in found { #expect(process.partial > 0) }
      // Experts are whole: each at one process, which reads it and no other.
      let read = found.flatMap(\.experts)
      #expect(Set(read).count == read.count && Set(read) == Set(plain.names.filter(OwnRowsSource.isExperts)))
    }
  }
}

/// A checkpoint of which only the rows that were asked for are numbers.
private final class OwnRowsSource: WeightSource {
  private let base: PlainSource
  private let asked = Atomic(0)
  private let expertsRead = Mutex<Set<String>>([])

  init(base: PlainSource) { self.base = base }

  /// Weights of experts that were asked for.
  var experts: [String] { expertsRead.withLock { $0.sorted() } }

  static func isExperts(_ name: String) -> Bool { name.contains(".experts.") }

  /// How often less than all was asked for.
  var partial: Int { asked.load(ordering: .relaxed) }

  var names: [String] { base.names }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { base.describe(name) }
  func load(_ name: String) throws -> Weight {
    if Self.isExperts(name) { _ = expertsRead.withLock { $0.insert(name) } }
    return try base.load(name)
  }

  func load(_ name: String, rows: Range<Int>) throws -> Weight {
    let whole = try load(name)
    guard rows != 0..<whole.shape[0], case .dense(let tensor) = whole, var values = tensor.float32Values() else { return whole }
    asked.wrappingAdd(1, ordering: .relaxed)
    let width = whole.shape[1]
    for row in 0..<whole.shape[0] where !rows.contains(row) {
      for index in row * width..<(row + 1) * width { values[index] = .nan }
    }
    return .dense(try #require(Tensor(values, shape: whole.shape).converted(to: tensor.dataType)))
  }
}
