import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

/// What a backward run computes and what it leaves out; weights that are overridden, quantized, or rounded on the way.
@Suite struct GradientBlockTests {
  let interpreter = Interpreter(pool: ThreadPool(threads: 2))
  let layout = SequenceLayout(lengths: [19, 12])

  func matrix(rows: Int, columns: Int, seed: UInt64) -> Matrix {
    let result = Matrix(rows: rows, columns: columns)
    var random = SeededRandom(seed: seed)
    for index in 0..<rows * columns { result.pointer[index] = Float(random.nextUnit() * 2 - 1) }
    return result
  }

  func width(_ graph: ModelGraph) -> Int { graph[graph.boundary(of: graph.blocks[1]).input].width ?? 0 }

  func loss(_ output: Matrix, _ slope: Matrix) -> Double {
    (0..<output.rows * output.columns).reduce(0) { $0 + Double(output.pointer[$1]) * Double(slope.pointer[$1]) }
  }

  func gradients(_ graph: ModelGraph, _ weights: LoadedBlock, wanting: Set<ParameterID>, input: Bool) throws -> BlockGradients {
    let rows = layout.rows, width = width(graph)
    let tape = try interpreter.runRecording(
      graph.blocks[1], of: graph, weights: weights, input: matrix(rows: rows, columns: width, seed: 1), sequences: layout)
    return try interpreter.backward(
      tape, outputGradient: matrix(rows: rows, columns: width, seed: 2), wanting: wanting, inputGradient: input)
  }

  /// Any choice of what is wanted gives the bits that all together give, and nothing else.
  @Test func onlyWhatIsWantedIsComputed() throws {
    let graph = try GoldenModel("qwen3").graph
    let weights = try LoadedBlock(graph.blocks[1], of: graph)
    let ids = graph.parameters(of: graph.blocks[1])
    let all = try gradients(graph, weights, wanting: Set(graph.parameterIDs), input: true)
    #expect(Set(all.parameters.keys) == Set(ids))
    for id in ids {
      let one = try gradients(graph, weights, wanting: [id], input: false)
      #expect(Array(one.parameters.keys) == [id] && one.input == nil)
      #expect(bitsAreEqual(try #require(one.parameters[id]), try #require(all.parameters[id])), "\(graph[id].name)")
    }
    let input = try gradients(graph, weights, wanting: [], input: true)
    #expect(input.parameters.isEmpty)
    #expect(bitsAreEqual(try #require(input.input), try #require(all.input)))
    let nothing = try gradients(graph, weights, wanting: [], input: false)
    #expect(nothing.parameters.isEmpty && nothing.input == nil)
  }

  @Test func gradientsAccumulate() throws {
    let graph = try GoldenModel("llama-gqa").graph
    let block = graph.blocks[1], weights = try LoadedBlock(block, of: graph)
    let wanted = Set(graph.parameters(of: block))
    let input = matrix(rows: layout.rows, columns: width(graph), seed: 1), slope = matrix(rows: layout.rows, columns: width(graph), seed: 2)
    let tape = try interpreter.runRecording(block, of: graph, weights: weights, input: input, sequences: layout)
    let before = slope.copy(rows: 0..<slope.rows), inputBefore = input.copy(rows: 0..<input.rows)
    let once = try interpreter.backward(tape, outputGradient: slope, wanting: wanted, inputGradient: true)
    let sums = once.parameters.mapValues { $0.copy(rows: 0..<$0.rows) }
    let twice = try interpreter.backward(tape, outputGradient: slope, wanting: wanted, inputGradient: true, addingTo: sums)
    for id in wanted {
      let (one, two) = (try #require(once.parameters[id]), try #require(twice.parameters[id]))
      #expect(two === sums[id])
      let close = (0..<one.rows * one.columns).allSatisfy { index in
        abs(two.pointer[index] - 2 * one.pointer[index]) <= 1e-4 * (1 + abs(one.pointer[index]))
      }
      #expect(close, "\(graph[id].name)")
    }
    #expect(bitsAreEqual(slope, before) && bitsAreEqual(input, inputBefore))
    #expect(throws: ExecutionError.self) {
      try interpreter.backward(tape, outputGradient: Matrix(rows: 1, columns: 1), wanting: wanted, inputGradient: false)
    }
    let wrong = Dictionary(uniqueKeysWithValues: wanted.map { ($0, Matrix(rows: 1, columns: 3)) })
    #expect(throws: ExecutionError.self) {
      try interpreter.backward(tape, outputGradient: slope, wanting: wanted, inputGradient: false, addingTo: wrong)
    }
  }

  /// Overridden weights are read where the caller keeps them: a step along the gradient changes the next run as the gradient says.
  @Test func overriddenWeightsFollowTheCaller() throws {
    let graph = try GoldenModel("qwen3").graph
    let block = graph.blocks[1], base = try LoadedBlock(block, of: graph)
    let ids = graph.parameters(of: block)
    var values: [ParameterID: Matrix] = [:]
    for id in ids {
      guard case .dense(let tensor) = try graph[id].load() else { continue }
      let dimensions = tensor.shape.dimensions
      let copy = Matrix(rows: dimensions.count == 2 ? dimensions[0] : 1, columns: dimensions.last ?? 0)
      for (index, value) in (tensor.float32Values() ?? []).enumerated() { copy.pointer[index] = value }
      values[id] = copy
    }
    let weights = try base.overriding(values, of: graph)
    let input = matrix(rows: layout.rows, columns: width(graph), seed: 1), slope = matrix(rows: layout.rows, columns: width(graph), seed: 2)
    func output(_ weights: LoadedBlock) throws -> Matrix {
      try interpreter.run(block, of: graph, weights: weights, input: input, sequences: layout)
    }
    #expect(bitsAreEqual(try output(weights), try output(base)))
    let wanted = try gradients(graph, weights, wanting: Set(ids), input: false).parameters
    for id in ids {
      let (value, gradient) = (try #require(values[id]), try #require(wanted[id]))
      let count = value.rows * value.columns, original = (0..<count).map { value.pointer[$0] }
      let square = (0..<count).reduce(0) { $0 + Double(gradient.pointer[$1]) * Double(gradient.pointer[$1]) }
      let step = 3e-3 / square.squareRoot()
      func moved(_ sign: Double) throws -> Double {
        for index in 0..<count { value.pointer[index] = original[index] + Float(sign * step * Double(gradient.pointer[index])) }
        return loss(try output(weights), slope)
      }
      let change = try moved(1) - moved(-1)
      for index in 0..<count { value.pointer[index] = original[index] }
      #expect(abs(change / (2 * step * square) - 1) < 2e-2, "\(graph[id].name): \(change / (2 * step * square))")
    }
    let first = try #require(ids.first)
    #expect(throws: ExecutionError.self) { try base.overriding([first: Matrix(rows: 2, columns: 5)], of: graph) }
  }

  /// A quantized weight differentiates as its dequantized values do, with and without int8 inputs (straight-through).
  @Test(arguments: [ActivationQuantization.none, .int8])
  func quantizedWeightsPassGradients(_ activations: ActivationQuantization) throws {
    var graph = try GoldenModel("llama-gqa").graph
    let block = graph.blocks[1]
    var dense: [ParameterID: Matrix] = [:]
    for (_, id) in graph.linears(of: block) {
      let shape = graph[id].shape, (rows, columns) = (shape[0], shape[1])
      var random = SeededRandom(seed: UInt64(id.index))
      let codes = (0..<rows * columns).map { _ in Int8(random.nextUnit() * 255 - 128) }
      let scales = (0..<rows).map { _ in Float(random.nextUnit() * 0.002 + 0.001) }
      let tensor = try Self.int8(codes, scales: scales, rows: rows, columns: columns, activations: activations)
      try graph.replace(id, with: .quantized(tensor))
      let values = Matrix(rows: rows, columns: columns)
      for index in codes.indices { values.pointer[index] = Float(codes[index]) * scales[index / columns] }
      dense[id] = values
    }
    let weights = try LoadedBlock(block, of: graph)
    let wanted = Set(graph.parameters(of: block))
    let quantized = try gradients(graph, weights, wanting: wanted, input: true)
    let plain = try gradients(graph, weights.overriding(dense, of: graph), wanting: wanted, input: true)
    for id in wanted {
      #expect(relativeDifference(try #require(quantized.parameters[id]), try #require(plain.parameters[id])) < 1e-3, "\(graph[id].name)")
    }
    #expect(relativeDifference(try #require(quantized.input), try #require(plain.input)) < 1e-3)
  }

  /// Distillation: the loss falls along its gradient as fast as that says, tiles change only the last bits, and equals have none.
  @Test func teachersPullTheHead() throws {
    let graph = try GoldenModel("llama-gqa").graph
    let head = graph.blocks[graph.blocks.count - 1], weights = try LoadedBlock(head, of: graph)
    let rows = layout.rows, width = width(graph)
    let input = matrix(rows: rows, columns: width, seed: 3), other = matrix(rows: rows, columns: width, seed: 4)
    let rowWeights = (0..<rows).map { $0 % 5 == 0 ? 0 : Float(0.1) }
    func distill(_ input: Matrix, towards teacher: Matrix, tileRows: Int = 7) throws -> HeadLoss {
      try interpreter.headLoss(
        head, of: graph, weights: weights, input: input,
        target: .teacher(.init(block: head, graph: graph, weights: weights, input: teacher, temperature: 2)),
        rowWeights: rowWeights, wanting: Set(graph.parameters(of: head)), inputGradient: true, tileRows: tileRows)
    }
    let tiled = try distill(input, towards: other), whole = try distill(input, towards: other, tileRows: 1000)
    let slope = try #require(tiled.gradients.input)
    #expect(abs(tiled.loss - whole.loss) < 1e-6 * whole.loss)
    #expect(relativeDifference(slope, try #require(whole.gradients.input)) < 1e-6)
    for id in graph.parameters(of: head) {
      #expect(relativeDifference(try #require(tiled.gradients.parameters[id]), try #require(whole.gradients.parameters[id])) < 1e-5)
    }
    let square = (0..<rows * width).reduce(0) { $0 + Double(slope.pointer[$1]) * Double(slope.pointer[$1]) }
    let step = 1e-2 / square.squareRoot()
    let moved = try [1.0, -1.0].map { sign in
      let place = input.copy(rows: 0..<rows)
      for index in 0..<rows * width { place.pointer[index] += Float(sign * step * Double(slope.pointer[index])) }
      return try distill(place, towards: other).loss
    }
    #expect(abs((moved[0] - moved[1]) / (2 * step * square) - 1) < 1e-2)
    #expect(abs(try distill(other, towards: other).loss) < 1e-9)
    #expect((0..<width).allSatisfy { slope.pointer[$0] == 0 }, "row 0 has no weight")
    #expect(throws: ExecutionError.self) { try distill(input, towards: Matrix(rows: 1, columns: width)) }
  }

  static func int8(
    _ codes: [Int8], scales: [Float], rows: Int, columns: Int, activations: ActivationQuantization
  ) throws -> QuantizedTensor {
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: 8)
    let stored = Tensor(dataType: .int32, shape: [rows, words]) { bytes in
      for index in codes.indices { bytes[index / columns * words * 4 + index % columns] = UInt8(bitPattern: codes[index]) ^ 0x80 }
    }
    return try #require(
      QuantizedTensor(
        scheme: QuantizationScheme(bits: 8, activations: activations), shape: [rows, columns], codes: stored,
        scales: Tensor(scales, shape: [rows, 1]), zeroPoints: nil))
  }
}
