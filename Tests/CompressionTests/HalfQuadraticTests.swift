import Diagnostics
import Execution
import ModelGraph
import StructuredData
import Tensors
import Testing

@testable import Compression

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct HalfQuadraticTests {
  private let pool = SearchFixture.pool

  private func norm(_ weight: Tensor, _ quantized: QuantizedTensor, _ exponent: Double) throws -> Double {
    let original = try #require(weight.float32Values()), restored = try #require(quantized.dequantized().float32Values())
    return zip(original, restored).reduce(0) { $0 + pow(Double(abs($1.0 - $1.1)), exponent) }
  }

  @Test(arguments: [2, 3, 4, 8], [true, false])
  func itsNormFallsBelowTheSearchs(_ bits: Int, _ symmetric: Bool) throws {
    for type in [DataType.float32, .bfloat16] {
      let rows = WeightRows.tensor(try SearchFixture.weight(12, 256, type))
      let weight = try SearchFixture.weight(12, 256, type)
      let scheme = QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .group(64))
      let start = try GridTable(searching: rows, named: "w", scheme: scheme, pool: pool).quantize(rows, named: "w", pool: pool).tensor
      let solved = try HalfQuadratic().table(for: rows, named: "w", scheme: scheme, pool: pool)
        .quantize(rows, named: "w", pool: pool).tensor
      let before = try norm(weight, start, 0.7), after = try norm(weight, solved, 0.7)
      #expect(after <= before * (1 + 1e-6) && (bits == 8 || after < before), "\(scheme.name) \(type)")
    }
  }

  @Test func threadsDoNotChangeAByte() throws {
    let rows = WeightRows.tensor(try SearchFixture.weight(33, 128))
    let scheme = QuantizationScheme(bits: 3, symmetric: false, granularity: .group(32))
    let digests = try [1, 2, 4].map { threads in
      let pool = ThreadPool(threads: threads)
      return SearchFixture.digest(
        try HalfQuadratic().table(for: rows, named: "w", scheme: scheme, pool: pool).quantize(rows, named: "w", pool: pool).tensor)
    }
    #expect(Set(digests).count == 1)
  }

  @Test(
    arguments: [
      ["norm": 0], ["norm": 1.5], ["beta": 0], ["beta": -1], ["beta-growth": 0.5], ["iterations": 0], ["iterations": 5000],
    ] as [JSONObject])
  func optionsOutOfRangeAreRefused(_ options: JSONObject) throws {
    let graph = try SearchFixture.graph()
    let pass = try HalfQuadratic(options: options)
    let error = #expect(throws: CompressionError.self) { try pass.validate(for: graph) }
    #expect(error?.kind == .usage)
  }

  @Test func thePassReplacesAndRecords() throws {
    var graph = try SearchFixture.graph()
    let pass = try HalfQuadratic(options: ["bits": 4, "group-size": 16, "method": "asymmetric", "norm": 0.8, "iterations": 7])
    #expect(pass.norm == 0.8 && pass.iterations == 7)
    let context = PassContext(interpreter: Interpreter(pool: pool))
    try pass.validate(for: graph)
    var worker = try pass.begin(on: graph, in: context)
    for block in graph.blocks { try worker.apply(to: block, of: &graph, in: context) }
    #expect(worker.record.pass == "hqq" && worker.record.layers.map(\.module) == ["l.0.q", "l.0.down"])
  }
}
