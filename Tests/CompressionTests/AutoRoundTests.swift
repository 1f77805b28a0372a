import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

@Suite struct AutoRoundTests {
  /// Windows of tokens, all alike in distribution.
  private func text(_ count: Int, seed: UInt64) -> [[Int32]] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in (0..<24).map { _ in Int32(random.next() % UInt64(DecoderFixture().vocabulary)) } }
  }

  /// A run over the fixture, block by block, as a recipe does it.
  private func compressed(
    _ pass: any CompressionPass, threads: Int = 2, windows count: Int = 40
  ) throws -> (graph: ModelGraph, record: PassRecord) {
    let fixture = DecoderFixture()
    var graph = try fixture.graph()
    let source = graph
    let interpreter = Interpreter(pool: ThreadPool(threads: threads))
    let windows = text(count, seed: 21)
    let directory = FileManager.default.temporaryDirectory
    let stream = try CalibrationStream(
      windows: windows, of: source, interpreter: interpreter, needs: pass.needs, spillingTo: directory, batchRows: 96)
    let sensitivity =
      pass.needs.contains(.gradients) ? try OutputSensitivity.measure(stream, seed: 1, spillingTo: directory) : nil
    let context = PassContext(interpreter: interpreter, seed: 3)
    var worker = try pass.begin(on: graph, in: context)
    for (index, block) in graph.blocks.enumerated() {
      let calibration = stream.calibration(for: block, at: index, sensitivity: sensitivity)
      try worker.apply(to: block, of: &graph, in: context.with(calibration))
      try stream.advance(past: block, in: graph)
    }
    return (graph, worker.record)
  }

  private func pass(_ iterations: Int, _ start: AutoRound.Start, _ loss: AutoRound.Loss = .plain, symmetric: Bool = true) -> AutoRound {
    var pass = AutoRound(bits: 3, method: symmetric ? .symmetric : .asymmetric, groupSize: 8, iterations: iterations)
    pass.start = start
    pass.loss = loss
    return pass
  }

  /// Codes, scales and zero points of all quantized weights.
  private func bytes(_ graph: ModelGraph) throws -> [[UInt8]] {
    try graph.blocks.flatMap { graph.linears(of: $0) }.flatMap { _, id -> [[UInt8]] in
      guard case .quantized(let tensor) = try graph[id].load() else { return [] }
      return [tensor.codes, tensor.scales, tensor.zeroPoints].compactMap { $0?.withUnsafeBytes { Array($0) } }
    }
  }

  /// Mean squared difference of what the last layer leaves, on text that calibration has not seen.
  private func error(_ graph: ModelGraph) throws -> Double {
    let stream = ForwardStream(interpreter: Interpreter(pool: ThreadPool(threads: 2)))
    let (exact, now) = try (
      stream.hidden(of: DecoderFixture().graph(), windows: text(40, seed: 22)), stream.hidden(of: graph, windows: text(40, seed: 22))
    )
    var (sum, count) = (0.0, 0)
    for (left, right) in zip(exact, now) {
      for row in 0..<left.matrix.rows {
        for (x, y) in zip(left.matrix.values(ofRow: row), right.matrix.values(ofRow: row)) { sum += Double(x - y) * Double(x - y) }
        count += left.matrix.columns
      }
    }
    return sum / Double(count)
  }

  @Test(arguments: AutoRound.Start.allCases, [true, false])
  func trainingLowersTheErrorOfTheModel(_ start: AutoRound.Start, _ symmetric: Bool) throws {
    let before = try error(try compressed(pass(0, start, symmetric: symmetric), windows: 200).graph)
    let (graph, record) = try compressed(pass(100, start, symmetric: symmetric), windows: 200)
    let after = try error(graph)
    // Feedback, and zero points, leave less to be learned; then a block may keep its start.
    let leavesMuch = start == .nearest && symmetric
    #expect(after < (leavesMuch ? 0.8 : 1) * before, "\(after) after \(before)")
    #expect(record.layers.count == 14)
    #expect(!leavesMuch || record.layers.allSatisfy { $0.fallback == nil })
  }

  @Test func noIterationsKeepTheStart() throws {
    var nearest = ImportanceMatrix()
    nearest.targets = pass(0, .nearest).targets
    #expect(try bytes(compressed(pass(0, .nearest)).graph) == bytes(compressed(nearest).graph))
    let feedback = GPTQ(bits: 3, groupSize: 8)
    #expect(try bytes(compressed(pass(0, .feedback)).graph) == bytes(compressed(feedback).graph))
  }

  /// Steps so large that nothing good comes of them.
  @Test func isNeverWorseThanTheStartAndSaysSo() throws {
    var wild = pass(1, .feedback)
    wild.learningRate = 1
    let (graph, record) = try compressed(wild)
    #expect(try bytes(graph) == bytes(compressed(pass(0, .feedback)).graph))
    #expect(record.layers.allSatisfy { $0.fallback?.contains("kept as it started") == true })
  }

  @Test(arguments: AutoRound.Loss.allCases)
  func threadsDoNotChangeAByte(_ loss: AutoRound.Loss) throws {
    let results = try [1, 2, 3].map { try compressed(pass(6, .feedback, loss), threads: $0) }
    let first = try bytes(results[0].graph)
    #expect(!first.isEmpty)
    for result in results {
      #expect(try bytes(result.graph) == first)
      #expect(result.record == results[0].record)
    }
  }

  @Test(arguments: [true, false])
  func aWeightStartsAtTheCodesItWasGiven(_ symmetric: Bool) throws {
    let pool = ThreadPool(threads: 2)
    var random = SeededRandom(seed: 2)
    let weight = Matrix(rows: 20, columns: 50)
    for index in 0..<1000 { weight.pointer[index] = Float(random.nextUnit() + random.nextUnit() - 1) }
    let table = try GridTable(
      rule: .signedAbsmax, weight: .matrix(weight), named: "w",
      scheme: QuantizationScheme(bits: 3, symmetric: symmetric, granularity: .group(16)), scaleType: .bfloat16, pool: pool)
    let codes = (0..<1000).map { _ in UInt8(random.next() % 8) }
    let start = try codes.withUnsafeBufferPointer {
      try table.assemble(codes: try #require($0.baseAddress), named: "w", pool: pool)
    }
    let graph = try DecoderFixture().graph()
    let learned = try LearnedWeight(
      graph.linears(of: graph.blocks[1])[0].weight, named: "w", weight: .matrix(weight), start: start, margin: 0.25, pool: pool)
    let tensor = try learned.tensor(pool: pool)
    #expect(tensor.codes.withUnsafeBytes { Array($0) } == start.codes.withUnsafeBytes { Array($0) })
    #expect(tensor.scales.withUnsafeBytes { Array($0) } == start.scales.withUnsafeBytes { Array($0) })
    let values = try #require(start.dequantized().float32Values())
    #expect((0..<1000).allSatisfy { learned.values.pointer[$0] == values[$0] })
  }

  /// What is kept is what the block computed with, also where grids moved.
  @Test(arguments: [true, false])
  func whatIsKeptIsWhatWasRun(_ symmetric: Bool) throws {
    let pool = ThreadPool(threads: 2)
    var random = SeededRandom(seed: 6)
    let (weight, gradient) = (Matrix(rows: 20, columns: 50), Matrix(rows: 20, columns: 50))
    for index in 0..<1000 { weight.pointer[index] = Float(random.nextUnit() + random.nextUnit() - 1) }
    let table = try GridTable(
      searching: .matrix(weight), named: "w", scheme: QuantizationScheme(bits: 2, symmetric: symmetric, granularity: .group(16)),
      scaleType: .bfloat16, pool: pool)
    let start = try table.quantize(.matrix(weight), named: "w", pool: pool).tensor
    let graph = try DecoderFixture().graph()
    let learned = try LearnedWeight(
      graph.linears(of: graph.blocks[1])[0].weight, named: "w", weight: .matrix(weight), start: start, margin: nil, pool: pool)
    for _ in 0..<20 {
      for index in 0..<1000 { gradient.pointer[index] = Float(random.nextUnit() - 0.5) }
      learned.step(against: gradient, rates: dso_learned_rates(offset: 0.1, factor: 0.02, shift: 0.1, reach: 0.5), pool: pool)
    }
    learned.keep(pool: pool)
    let kept = try #require(try learned.tensor(pool: pool).dequantized().float32Values())
    let begun = try #require(start.dequantized().float32Values())
    #expect((0..<1000).allSatisfy { learned.values.pointer[$0] == kept[$0] })
    #expect((0..<1000).filter { kept[$0] != begun[$0] }.count > 300)
  }

  @Test func everyRoundThroughTheTextTakesEveryWindowOnce() {
    let layouts = (0..<20).map { _ in SequenceLayout(lengths: Array(repeating: 10, count: 5)) }
    let set = TrainingSet(layouts: layouts, windows: 2)
    #expect(set.drawn.count + set.fixed.count == 60 && set.fixed.reduce(0) { $0 + $1.count } <= 32)
    let places = (set.drawn + set.fixed).map(\.firstToken).sorted()
    #expect(Set(places).count == 60 && places.last == 990)
    var draw = TrainingSet.Draw(set.drawn, seed: 4)
    var seen: [Int] = []
    while seen.count < set.drawn.count { seen += draw.next(windows: 1).map(\.firstToken) }
    #expect(seen.sorted() == set.drawn.map(\.firstToken).sorted())
    let few = TrainingSet(layouts: [SequenceLayout(lengths: [7, 9, 4])], windows: 2)
    #expect(few.drawn.map(\.rows) == [0..<16, 16..<20] && few.fixed.count == 1)
    #expect(few.drawn.map(\.layout.lengths) == [[7, 9], [4]])
  }

  @Test func optionsAreChecked() throws {
    let graph = try DecoderFixture().graph()
    let changes: [(inout AutoRound) -> Void] = [
      { $0.iterations = -1 }, { $0.batchWindows = 0 }, { $0.learningRate = 2 }, { $0.rangeRate = .nan },
    ]
    for change in changes {
      var pass = AutoRound(bits: 4, groupSize: 8)
      change(&pass)
      #expect(throws: CompressionError.self) { try pass.validate(for: graph) }
    }
    #expect(AutoRound().needs == [.calibration, .referenceActivations, .gradients])
    #expect(try AutoRound(options: AutoRound().options) == AutoRound())
  }
}
