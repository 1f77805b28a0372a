import Diagnostics
import Execution
import Foundation
import StructuredData
import Tensors
import Testing

@testable import Compression
@testable import ModelGraph

@Suite struct NormalFloatTests {
  /// What bitsandbytes makes of some weights (make-normal-float-golden.py).
  struct Fixture: Decodable {
    struct Case: Decodable {
      var name: String
      var type: String
      var rows: Int
      var columns: Int
      var groupSize: Int
      var weights: Data
      /// One to a byte, in the weights' order.
      var codes: Data
      var scales: Data
      var values: Data

      func weight() throws -> Tensor {
        let dataType = try #require(DataType(rawValue: type))
        return Tensor(dataType: dataType, shape: [rows, columns]) { $0.copyBytes(from: weights) }
      }
    }
    var made: String
    var levels: Data
    var cases: [Case]
  }

  private func load() throws -> Fixture {
    let url = try #require(Bundle.module.url(forResource: "nf4", withExtension: "json", subdirectory: "NormalFloatFixtures"))
    return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
  }

  private func bits(_ data: Data) -> [UInt32] {
    data.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self) }
    }
  }

  private func bits(_ tensor: Tensor) throws -> [UInt32] { try #require(tensor.float32Values()).map(\.bitPattern) }

  @Test func codesScalesAndValuesAreThoseOfBitsAndBytes() throws {
    let fixture = try load()
    #expect(fixture.made.hasPrefix("bitsandbytes 0.50.2") && fixture.cases.count >= 6)
    #expect(bits(fixture.levels) == CodeLevels.normalFloat4.values?.map(\.bitPattern))
    for item in fixture.cases {
      let scheme = QuantizationScheme(bits: 4, granularity: .group(item.groupSize), levels: .normalFloat4)
      for threads in [1, 3] {
        let tensor = try NormalFloat.quantize(item.weight(), named: item.name, as: scheme, pool: ThreadPool(threads: threads))
        #expect(tensor.scales.dataType == .float32)
        #expect(try bits(tensor.scales) == bits(item.scales), "\(item.name)")
        let codes = tensor.codes.withUnsafeBytes { bytes in bytes.flatMap { [$0 & 15, $0 >> 4] } }
        #expect(codes == Array(item.codes), "\(item.name)")
        #expect(try bits(tensor.dequantized()) == bits(item.values), "\(item.name)")
      }
    }
  }

  @Test func nonFiniteWeightsAreRefusedByName() {
    let scheme = QuantizationScheme(bits: 4, granularity: .group(4), levels: .normalFloat4)
    for bad in [Float.nan, .infinity, -.infinity] {
      let error = #expect(throws: CompressionError.self) {
        try NormalFloat.quantize(Tensor([1, bad, 2, 3], shape: [1, 4]), named: "a.weight", as: scheme, pool: ThreadPool(threads: 1))
      }
      #expect(error?.subject == "a.weight" && error?.kind == .badData)
    }
  }

  /// A short last group has a scale of its own.
  @Test func aRestOfARowIsAGroup() throws {
    let scheme = QuantizationScheme(bits: 4, granularity: .group(4), levels: .normalFloat4)
    let weight = Tensor([1, -1, 0.25, 0, 0.01, -0.0025, 2, 2, 2, 2, 4, 0], shape: [2, 6])
    let tensor = try NormalFloat.quantize(weight, named: "w", as: scheme, pool: ThreadPool(threads: 1))
    #expect(tensor.scales.float32Values() == [1, 0.01, 2, 4])
    #expect(tensor.dequantized().float32Values()?[10] == 4)
  }

  /// The model runs on the codes as it runs on the values they stand for, with int8 inputs too: no integer product takes levels.
  @Test func modelsRunOnCodes() throws {
    let interpreter = Interpreter(pool: ThreadPool(threads: 2))
    var pass = NormalFloat(groupSize: 8)
    pass.ignore = ["k"]
    let fixture = DecoderFixture()
    var (graph, records) = try fixture.compressed([pass], interpreter)
    #expect(records[0].layers.count == 2 * 6 && records[0].layers.allSatisfy { $0.scheme.name == "NF4 g8" })
    var dense = graph
    for block in graph.blocks {
      for (_, id) in graph.linears(of: block) {
        if case .quantized(let tensor) = try graph[id].load() { try dense.replace(id, with: .dense(tensor.dequantized())) }
      }
    }
    let coded = try fixture.logits(graph, interpreter)
    #expect(try coded == fixture.logits(dense, interpreter))
    #expect(try coded != fixture.logits(fixture.graph(), interpreter))
    for block in graph.blocks {
      for (_, id) in graph.linears(of: block) {
        graph.setInputQuantization(.int8, for: id)
        dense.setInputQuantization(.int8, for: id)
      }
    }
    let rounded = try fixture.logits(graph, interpreter)
    #expect(try rounded == fixture.logits(dense, interpreter) && rounded != coded)
  }

  @Test func optionsAreTheTargetsThatFit() throws {
    let pass = try NormalFloat(options: ["group-size": 8, "ignore": ["q"], "overrides": [["pattern": "head", "group-size": 48]]])
    let graph = try DecoderFixture().graph()
    let schemes = try pass.schemes(for: graph)
    #expect(schemes.values.allSatisfy { $0.levels == .normalFloat4 && $0.bits == 4 && $0.symmetric && $0.activations == .none })
    #expect(schemes.first { graph[$0.key].module == "head" }?.value.granularity == .group(48))
    #expect(!schemes.keys.contains { graph[$0].module.hasSuffix(".q") })
    for options in [["bits": 3] as JSONObject, ["method": "asymmetric"], ["activations": "int8"]] {
      #expect(throws: CompressionError.self) { try NormalFloat(options: options) }
    }
    var wide = NormalFloat(groupSize: 8)
    wide.overrides = [.init(pattern: "q", bits: 8)]
    #expect(throws: CompressionError.self) { try wide.validate(for: graph) }
    // 48 and 40 inputs: groups of 64 divide neither.
    #expect(throws: CompressionError.self) { try NormalFloat().validate(for: graph) }
  }

  /// Methods that move codes by the step between them say so.
  @Test func methodsForEvenCodesRefuseIt() throws {
    let pool = ThreadPool(threads: 1)
    let interpreter = Interpreter(pool: pool)
    let scheme = QuantizationScheme(bits: 4, granularity: .group(8), levels: .normalFloat4)
    let weight = Tensor((0..<32).map { Float($0) - 15.5 }, shape: [4, 8])
    let tensor = try NormalFloat.quantize(weight, named: "w", as: scheme, pool: pool)
    let fixture = DecoderFixture()
    let graph = try fixture.compressed([NormalFloat(groupSize: 8)], interpreter).graph
    let attempts: [() throws -> Void] = [
      { _ = try RowQuantizer(scheme: scheme, rule: .signedAbsmax).quantize(weight, named: "w", pool: pool) },
      { _ = try GridTable(searching: .tensor(weight), named: "w", scheme: scheme, pool: pool) },
      {
        let table = GridTable(scheme: scheme, rows: 4, columns: 8, scaleType: .float32, scales: [1, 1, 1, 1])
        _ = try table.assemble(packed: tensor.codes, named: "w")
      },
      { _ = try StepSizeParameters(of: graph, from: fixture.graph(), scaleRate: 1, gainRate: 0, pool: pool) },
    ]
    for attempt in attempts {
      let error = #expect(throws: CompressionError.self) { try attempt() }
      #expect(error?.kind == .usage && error?.problem.contains("NF4 has a table of levels") == true)
    }
    let id = try #require(graph.linears(of: graph.blocks[1]).first?.weight)
    #expect(throws: CompressionError.self) {
      try LearnedWeight(id, named: "w", weight: .tensor(weight), start: tensor, margin: nil, pool: pool)
    }
    // A model that is NF4 already is not quantized again.
    #expect(throws: CompressionError.self) { try fixture.compressed([RoundToNearest(bits: 4)], from: graph, interpreter) }
  }
}
