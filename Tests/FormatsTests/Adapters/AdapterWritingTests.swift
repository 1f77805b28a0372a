import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors
import Testing

/// Adapters that are written, and read again.
@Suite struct AdapterWritingTests {
  private let scratch: AdapterScratch

  init() throws { scratch = try AdapterScratch() }

  private func settings(_ directory: URL) throws -> JSONValue {
    try JSONValue(parsing: String(contentsOf: directory.appendingPathComponent("adapter_config.json"), encoding: .utf8))
  }

  private func module(
    _ name: String, rank: Int = 2, scaling: Double = 2, type: DataType = .float32, magnitude: Bool = false,
    kind: AdapterModule.Kind = .linear, seed: Int = 1
  ) throws -> AdapterModule {
    func tensor(_ shape: Shape) throws -> Tensor {
      let values = (0..<shape.elementCount).map { Float(($0 * 7 + seed * 3) % 11 - 5) / 8 }
      return try #require(Tensor(values, shape: shape).converted(to: type))
    }
    return try #require(
      AdapterModule(
        name: name, kind: kind, a: try tensor([rank, 5]), b: try tensor([3, rank]), magnitude: magnitude ? try tensor([3]) : nil,
        scaling: scaling))
  }

  private func write(
    _ adapter: AdapterCheckpoint, _ format: AdapterFormat, among modules: [String]? = nil
  ) throws -> (directory: URL, settings: JSONValue, adapter: AdapterCheckpoint) {
    let folder = try scratch.folder(UUID().uuidString)
    try adapter.write(to: folder, format: format, modelModules: modules)
    return (folder, try settings(folder), try AdapterCheckpoint(folder))
  }

  @Test(arguments: AdapterGolden.names, AdapterFormat.allCases) func roundTripsKeepTheChange(name: String, format: AdapterFormat) throws {
    let source = try AdapterCheckpoint(AdapterGolden(name).directory)
    for modules in [nil, ShapesOnly.tinyLlama.modules] {
      let (_, _, found) = try write(source, format, among: modules)
      try found.check(against: ShapesOnly.tinyLlama)
      #expect(found.configuration.isWeightDecomposed == source.configuration.isWeightDecomposed)
      #expect(found.modules.map(\.name) == source.modules.map(\.name))
      for (left, right) in zip(found.modules, source.modules) {
        #expect(left.kind == right.kind)
        #expect(left.magnitude?.contents == right.magnitude?.contents)
        if format == .peft {
          #expect(left.scaling == right.scaling)
          #expect(left.a.contents == right.a.contents && left.b.contents == right.b.contents)
          #expect(left.a.dataType == right.a.dataType && left.b.dataType == right.b.dataType)
        }
        for (one, other) in zip(try left.delta(), try right.delta()) { #expect(abs(one - other) <= 1e-6 * max(1, abs(other))) }
      }
    }
  }

  @Test func theBytesAreWhatPEFTWrites() throws {
    for name in ["lora", "rslora", "dora", "patterns", "layers", "embedding"] {
      let golden = try AdapterGolden(name)
      let (folder, _, _) = try write(AdapterCheckpoint(golden.directory), .peft)
      let file = "adapter_model.safetensors"
      #expect(
        try Data(contentsOf: folder.appendingPathComponent(file)) == Data(contentsOf: golden.directory.appendingPathComponent(file)),
        "\(name)")
    }
  }

  @Test func settingsAreExplicit() throws {
    var configuration = AdapterConfiguration(rank: 2, alpha: 4, baseModel: "base/model", dropout: 0.1)
    configuration.otherKeys = ["learning_rate": 1]
    let modules = try [module("m.0.q_proj"), module("m.1.q_proj")]
    let (folder, settings, _) = try write(
      AdapterCheckpoint(configuration: configuration, modules: modules), .peft, among: ["m.0.q_proj", "m.1.q_proj", "m.0.k_proj"])
    let expected: JSONValue = [
      "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base/model", "inference_mode": true, "r": 2,
      "lora_alpha": 4, "lora_dropout": 0.1, "bias": "none", "use_rslora": false, "use_dora": false, "target_modules": ["q_proj"],
      "rank_pattern": [:], "alpha_pattern": [:],
    ]
    #expect(settings == expected)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["adapter_config.json", "adapter_model.safetensors"])
    let (_, mlx, _) = try write(AdapterCheckpoint(configuration: configuration, modules: modules), .mlx)
    let parameters: JSONValue = ["rank": 2, "scale": 2, "dropout": 0.1, "keys": ["m.0.q_proj", "m.1.q_proj"]]
    #expect(mlx == ["fine_tune_type": "lora", "num_layers": 2, "lora_parameters": parameters, "model": "base/model"])
  }

  @Test func shortNamesOnlyWhenTheySelectJustTheAdapted() throws {
    let configuration = AdapterConfiguration(rank: 2, alpha: 4)
    let all = ["l.0.q", "l.0.k", "l.1.q", "l.1.k", "l.2.q", "l.2.k", "head"]
    func targets(_ names: [String], _ modules: [String]?) throws -> (peft: [String], mlx: [String], layers: Int?) {
      let adapter = try AdapterCheckpoint(configuration: configuration, modules: try names.map { try module($0) })
      let peft = try write(adapter, .peft, among: modules).settings["target_modules"]?.array?.compactMap(\.string) ?? []
      let mlx = try write(adapter, .mlx, among: modules).settings
      return (peft, mlx["lora_parameters"]?["keys"]?.array?.compactMap(\.string) ?? [], mlx["num_layers"]?.integer)
    }
    var found = try targets(["l.0.q", "l.1.q", "l.2.q", "head"], all)
    #expect(found == (["head", "q"], ["head", "q"], 3))
    found = try targets(["l.1.q", "l.2.q"], all)
    #expect(found == (["l.1.q", "l.2.q"], ["q"], 2))
    found = try targets(["l.0.q", "l.1.q"], all)
    #expect(found == (["l.0.q", "l.1.q"], ["l.0.q", "l.1.q"], 2))
    found = try targets(["l.0.q", "l.2.q"], all)
    #expect(found == (["l.0.q", "l.2.q"], ["l.0.q", "l.2.q"], 2))
    // `p` is a container as well, which the short name would select.
    found = try targets(["l.0.q.p", "l.1.p", "p.k"], ["l.0.q.p", "l.1.p", "p.k"])
    #expect(found.peft == ["l.0.q.p", "l.1.p", "p.k"])
    found = try targets(["l.0.q", "l.1.q", "l.2.q"], nil)
    #expect(found == (["l.0.q", "l.1.q", "l.2.q"], ["l.0.q", "l.1.q", "l.2.q"], 3))
  }

  @Test(arguments: [false, true]) func ranksAndScalingsMayDiffer(isRankStabilized: Bool) throws {
    let configuration = AdapterConfiguration(rank: 2, alpha: 4, isRankStabilized: isRankStabilized)
    let scaling = { configuration.scaling(rank: $0, alpha: $1) }
    let modules = try [
      module("l.0.q", rank: 2, scaling: scaling(2, 4)), module("l.1.q", rank: 3, scaling: scaling(3, 4), seed: 2),
      module("l.0.k", rank: 7, scaling: scaling(7, 5), seed: 3), module("l.1.k", rank: 7, scaling: scaling(7, 5), seed: 4),
      module("x.l.1.q", rank: 2, scaling: scaling(2, 0.3), seed: 5), module("l.0.o", rank: 2, scaling: scaling(2, 4)),
    ]
    let adapter = try AdapterCheckpoint(configuration: configuration, modules: modules)
    let (_, peft, found) = try write(adapter, .peft)
    #expect(peft["r"] == 2 && peft["lora_alpha"] == 4)
    // The anchor keeps `x.l.1.q` out.
    #expect(peft["rank_pattern"] == ["^l.1.q": 3, "k": 7])
    #expect(peft["alpha_pattern"]?["k"] == 5)
    for (left, right) in zip(found.modules, adapter.modules) { #expect(left.rank == right.rank && left.scaling == right.scaling) }
    let (_, mlx, other) = try write(adapter, .mlx)
    #expect(mlx["lora_parameters"]?["rank"] == 7)
    for (left, right) in zip(other.modules, adapter.modules) {
      for (one, two) in zip(try left.delta(), try right.delta()) { #expect(abs(one - two) <= 3e-7 * max(1, abs(two))) }
    }
  }

  @Test(arguments: [DataType.float32, .bfloat16, .float16], AdapterFormat.allCases)
  func typesAreKeptAndBytesAreStable(type: DataType, format: AdapterFormat) throws {
    let configuration = AdapterConfiguration(rank: 2, alpha: 4, isWeightDecomposed: true)
    let names = (0..<40).map { "m.layers.\($0).q_proj" }
    let modules = try names.enumerated().map { try module($0.element, type: type, magnitude: true, seed: $0.offset) }
    let first = try write(AdapterCheckpoint(configuration: configuration, modules: modules.shuffled()), format)
    let second = try write(AdapterCheckpoint(configuration: configuration, modules: modules.shuffled()), format)
    for file in [format.weightsFileName, "adapter_config.json"] {
      #expect(
        try Data(contentsOf: first.directory.appendingPathComponent(file))
          == Data(contentsOf: second.directory.appendingPathComponent(file)))
    }
    let types = Set(first.adapter.modules.flatMap { [$0.a.dataType, $0.b.dataType, $0.magnitude?.dataType] })
    #expect(types == [type])
  }

  @Test func refusesWhatCannotBeWritten() throws {
    let plain = AdapterConfiguration(rank: 2, alpha: 4)
    #expect(message { _ = try AdapterCheckpoint(configuration: plain, modules: []) } == "adapter: it has no modules")
    #expect(
      message { _ = try AdapterCheckpoint(configuration: plain, modules: [module("a.q"), module("a.q")]) }.contains("it occurs twice"))
    #expect(
      message { _ = try AdapterCheckpoint(configuration: plain, modules: [module("a.q", magnitude: true)]) }.contains("only DoRA has"))
    let decomposed = AdapterConfiguration(rank: 2, alpha: 4, isWeightDecomposed: true)
    #expect(message { _ = try AdapterCheckpoint(configuration: decomposed, modules: [module("a.q")]) }.contains("DoRA needs a magnitude"))
    // mlx-lm's names do not tell embeddings from linear layers.
    let odd = try AdapterCheckpoint(configuration: plain, modules: [module("a.q", kind: .embedding)])
    #expect(message { _ = try write(odd, .mlx) }.contains("write the PEFT layout"))
    let adapter = try AdapterCheckpoint(configuration: plain, modules: [module("a.q")])
    let (folder, _, _) = try write(adapter, .peft)
    #expect(message { try adapter.write(to: folder, format: .mlx) }.contains("it exists already; remove the old adapter"))
    let nowhere = folder.appendingPathComponent("missing")
    #expect(message { try adapter.write(to: nowhere, format: .peft) }.contains("cannot create it"))
  }

  @Test func modulesMustHoldTogether() throws {
    let a = Tensor([Float](repeating: 1, count: 6), shape: [2, 3])
    let b = Tensor([Float](repeating: 1, count: 8), shape: [4, 2])
    let m = Tensor([Float](repeating: 1, count: 4), shape: [4])
    #expect(AdapterModule(name: "q", a: a, b: b, magnitude: m, scaling: 1)?.weightShape == [4, 3])
    #expect(AdapterModule(name: "e", kind: .embedding, a: a, b: b, scaling: 1)?.weightShape == [3, 4])
    #expect(AdapterModule(name: "q", a: b, b: b, scaling: 1) == nil)
    #expect(AdapterModule(name: "q", a: a, b: b, magnitude: a, scaling: 1) == nil)
    #expect(AdapterModule(name: "e", kind: .embedding, a: a, b: b, magnitude: m, scaling: 1) == nil)
    #expect(AdapterModule(name: "q", a: a, b: b, scaling: 0) == nil)
    #expect(AdapterModule(name: "q", a: a, b: b, scaling: .nan) == nil)
    #expect(AdapterModule(name: "", a: a, b: b, scaling: 1) == nil)
    #expect(AdapterModule(name: "q", a: Tensor(int8: [1, 1], shape: [2, 1]), b: b, scaling: 1) == nil)
  }
}
