import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// Adapters that start from what quantization loses.
@Suite struct LowRankQuantizationTests {
  private let pool = ThreadPool(threads: 2)

  private func quantized(_ matrix: Matrix, bits: Int) throws -> QuantizedTensor {
    let rows = WeightRows.matrix(matrix)
    return try GridTable(searching: rows, named: "w", scheme: QuantizationScheme(bits: bits, granularity: .group(32)), pool: pool)
      .quantize(rows, named: "w", pool: pool).tensor
  }

  private func error(_ weight: Matrix, _ start: LowRankStart, scaling: Double) throws -> Double {
    guard case .quantized(let codes)? = start.weight, let values = codes.dequantized().float32Values() else { return .infinity }
    let sum = LowRankMatrices.product(start.up, start.down, Array(repeating: scaling, count: start.down.rows))
    for (index, value) in values.enumerated() { sum.pointer[index] += value }
    return LowRankMatrices.distance(weight, sum) / LowRankFixture.norm(weight)
  }

  /// Below quantizing alone, which is where a zero start begins; better with every further round or as good; and what is said of the error
  /// is so.
  @Test(arguments: [2, 3, 4], [true, false])
  func makesUpForQuantization(_ bits: Int, _ isRandom: Bool) throws {
    let weight = LowRankMatrices.matrix(96, 128, seed: 5, terms: isRandom ? 0 : 96, decay: 1, noise: isRandom ? 1 : 0.02)
    guard let values = try quantized(weight, bits: bits).dequantized().float32Values() else { throw LoadFailure() }
    let plain = Matrix(rows: 96, columns: 128)
    for (index, value) in values.enumerated() { plain.pointer[index] = value }
    let alone = LowRankMatrices.distance(weight, plain) / LowRankFixture.norm(weight)
    var last = alone
    for rounds in 1...LowRankStart.rounds {
      let start = try #require(
        try LowRankStart.quantizing(
          weight, named: "w", rank: 16, scaling: 2, seed: 4, rounds: rounds, pool: pool
        ) { try quantized($0, bits: bits) })
      #expect(abs(try error(weight, start, scaling: 2) / start.error - 1) < 1e-3)
      #expect(start.error <= last, "round \(rounds)")
      last = start.error
    }
    #expect(last < alone * (isRandom ? 0.9 : 0.85), "\(last) of \(alone)")
  }

  private struct LoadFailure: Error {}

  /// Rounds may make it worse again: the best one counts.
  @Test func theBestRoundIsKept() throws {
    let weight = LowRankMatrices.matrix(64, 64, seed: 8, terms: 0, decay: 0, noise: 1)
    var round = 0
    let start = try #require(
      try LowRankStart.quantizing(weight, named: "w", rank: 8, scaling: 1, seed: 4, pool: pool) { target in
        round += 1
        return try quantized(target, bits: round == 2 ? 4 : 2)
      })
    #expect(round == LowRankStart.rounds)
    guard case .quantized(let codes)? = start.weight else { throw LoadFailure() }
    #expect(codes.scheme.bits == 4)
    #expect(abs(try error(weight, start, scaling: 1) / start.error - 1) < 1e-3)
  }

  /// What the grid holds exactly leaves nothing to make up for, and an adapter that can still learn.
  @Test func exactCodesLeaveAZeroStart() throws {
    let weight = Matrix(rows: 32, columns: 32)
    for place in 0..<1024 { weight.pointer[place] = Float((place * 7) % 15 - 7) / 8 }
    // A code of −8 in every group makes the grid that of eighths.
    for row in 0..<32 { weight.row(row)[row] = -1 }
    let start = try #require(
      try LowRankStart.quantizing(weight, named: "w", rank: 4, scaling: 1, seed: 4, pool: pool) { try quantized($0, bits: 4) })
    #expect(start.error == 0 && start.up.squaredNorm == 0)
    #expect(
      LowRankMatrices.bits(start.down) == LowRankMatrices.bits(LowRankStart(rank: 4, outputs: 32, inputs: 32, seed: 4).down))
  }

  @Test(arguments: [DataType.bfloat16, .float32])
  func theModelIsCloserThanItsCodes(_ type: DataType) throws {
    let fixture = LowRankFixture(type: type)
    let base = try fixture.decoder.graph()
    let pass = MinimumSquaredError(bits: 3, groupSize: 8)
    let plain = try fixture.decoder.compressed([pass], from: base, fixture.interpreter).graph
    // From the model, and from the model that was quantized already: the quantizer knows what it was.
    var graphs = [base, plain]
    for index in graphs.indices {
      let adapters = try LowRankFixture.adaptation(.quantizationResidual).attach(
        to: &graphs[index], seed: 3, pool: fixture.pool, quantizer: fixture.quantizer(pass, of: base))
      for adapter in adapters {
        guard case .quantized(let tensor) = try graphs[index][adapter.weight].load(),
          case .quantized(let alone) = try plain[adapter.weight].load()
        else { throw LoadFailure() }
        #expect(tensor.scheme == alone.scheme && tensor.scales.dataType == type)
        let weight = try Matrix(base[adapter.weight])
        let before = LowRankMatrices.distance(weight, try Matrix(plain[adapter.weight]))
        #expect(LowRankMatrices.distance(weight, try fixture.whole(adapter, in: graphs[index])) < 0.8 * before, "\(adapter.module)")
      }
    }
    let expected = try fixture.logits(base)
    let found = try graphs.map { try fixture.logits($0) }
    #expect(found[0] == found[1])
    func squares(_ logits: [Float]) -> Double { zip(logits, expected).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) } }
    #expect(squares(found[0]) < 0.7 * squares(try fixture.logits(plain)))
  }

  /// A layer that is to stay as it is has no error to start from.
  @Test func layersThatAreIgnoredStartAtZero() throws {
    let fixture = LowRankFixture()
    let base = try fixture.decoder.graph()
    var graph = base
    var pass = MinimumSquaredError(bits: 3, groupSize: 8)
    pass.targets.ignore = ["re:.*\\.q"]
    let adapters = try LowRankFixture.adaptation(.quantizationResidual, targets: []).attach(
      to: &graph, seed: 3, pool: fixture.pool, quantizer: fixture.quantizer(pass, of: base))
    #expect(adapters.count == 6)
    for adapter in adapters {
      let isIgnored = adapter.module.hasSuffix(".q")
      #expect(graph[adapter.weight].isQuantized != isIgnored)
      #expect((try Matrix(graph[adapter.up]).squaredNorm == 0) == isIgnored)
    }
  }

  /// The same values give the bytes that the pass gives.
  @Test(arguments: [DataType.bfloat16, .float16, .float32])
  func theQuantizerIsThePass(_ type: DataType) throws {
    func check(_ pass: some LayerwiseQuantization) throws {
      let fixture = LowRankFixture(type: type)
      let base = try fixture.decoder.graph()
      let plain = try fixture.decoder.compressed([pass], from: base, fixture.interpreter).graph
      let quantizer = try fixture.quantizer(pass, of: base)
      var count = 0
      for (_, id) in base.blocks.flatMap({ base.linears(of: $0) }) {
        let found = try quantizer.quantize(Matrix(base[id]), for: id)
        guard case .quantized(let expected) = try plain[id].load() else {
          #expect(found == nil)
          continue
        }
        #expect(SearchFixture.digest(try #require(found).tensor) == SearchFixture.digest(expected), "\(base[id].name)")
        count += 1
      }
      #expect(count == 14)
    }
    try check(MinimumSquaredError(bits: 4, groupSize: 8))
    try check(MinimumSquaredError(bits: 3, method: .asymmetric))
    try check(RoundToNearest(bits: 4, groupSize: 8))
    var iterative = HalfQuadratic()
    iterative.targets.groupSize = 8
    iterative.targets.bits = 4
    try check(iterative)
  }

  @Test func anotherShapeIsRefused() throws {
    let fixture = LowRankFixture()
    let base = try fixture.decoder.graph()
    let quantizer = try fixture.quantizer(MinimumSquaredError(bits: 4, groupSize: 8), of: base)
    let id = try #require(base.linears(of: base.blocks[1]).first).weight
    let error = #expect(throws: CompressionError.self) { try quantizer.quantize(Matrix(rows: 3, columns: 8), for: id) }
    #expect(error?.kind == .usage)
  }

  /// What the singular vectors leave is quantized: as the pass would quantize it, and nearer to the weight than quantizing the weight.
  @Test func principalStartsCanBeQuantized() throws {
    let fixture = LowRankFixture()
    let base = try fixture.decoder.graph()
    let pass = MinimumSquaredError(bits: 2, groupSize: 8)
    var (dense, quantized) = (base, base)
    let plain = try LowRankFixture.adaptation(.principal).attach(to: &dense, seed: 3, pool: fixture.pool)
    let adapters = try LowRankFixture.adaptation(.principal).attach(
      to: &quantized, seed: 3, pool: fixture.pool, quantizer: fixture.quantizer(pass, of: base))
    #expect(plain.map(\.module) == adapters.map(\.module))
    let quantizer = try fixture.quantizer(pass, of: base)
    for adapter in adapters {
      guard case .quantized(let found) = try quantized[adapter.weight].load() else {
        Issue.record("\(adapter.module) is not quantized")
        continue
      }
      let expected = try #require(try quantizer.quantize(Matrix(dense[adapter.weight]), for: adapter.weight)).tensor
      #expect(Weight.quantized(found).digest() == Weight.quantized(expected).digest())
    }
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    let fixture = LowRankFixture()
    let base = try fixture.decoder.graph()
    let pass = MinimumSquaredError(bits: 8)
    func refuse(
      _ adaptation: LowRankAdaptation, _ source: ModelGraph, _ word: String, _ quantizer: LayerQuantizer? = nil
    ) throws {
      var graph = source
      let error = #expect(throws: CompressionError.self) {
        try adaptation.attach(to: &graph, seed: 3, pool: fixture.pool, quantizer: quantizer)
      }
      #expect(error?.kind == .usage && error?.problem.contains(word) == true, "\(String(describing: error))")
      #expect(graph.nodes.count == source.nodes.count && graph.parameters.count == source.parameters.count)
    }
    try refuse(LowRankFixture.adaptation(.quantizationResidual), base, "how weights are quantized")
    try refuse(LowRankFixture.adaptation(.zero), base, "does not quantize", fixture.quantizer(pass, of: base))
    var tied = fixture.decoder
    tied.isTied = true
    try refuse(LowRankFixture.adaptation(.principal, targets: ["head"]), try tied.graph(), "shares its weight")
    var static8 = pass
    static8.targets.activations = .int8
    let quantized = try fixture.decoder.compressed([static8], from: base, fixture.interpreter).graph
    try refuse(LowRankFixture.adaptation(.principal), quantized, "quantizes its inputs")
    // A model that the quantizer was not made for.
    var other = fixture.decoder
    other.hidden = 64
    try refuse(
      LowRankFixture.adaptation(.quantizationResidual), base, "is not a layer", fixture.quantizer(pass, of: other.graph()))
    try refuse(LowRankFixture.adaptation(.principal, rank: 17), base, "rank 17")
  }

  /// A weight that fails on the way leaves the graph as it was.
  @Test func aFailureChangesNothing() throws {
    let fixture = LowRankFixture()
    var decoder = fixture.decoder
    decoder.poisoned = "layers.1.down.weight"
    let base = try decoder.graph()
    var graph = base
    let error = #expect(throws: CompressionError.self) {
      try LowRankFixture.adaptation(.principal).attach(to: &graph, seed: 3, pool: fixture.pool)
    }
    #expect(error?.subject == "layers.1.down.weight" && error?.kind == .badData)
    #expect(graph.nodes.count == base.nodes.count)
    for id in graph.parameterIDs {
      guard case .stored = graph[id].storage else {
        Issue.record("\(graph[id].name) was replaced")
        continue
      }
    }
  }
}
