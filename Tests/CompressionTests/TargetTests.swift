import Diagnostics
import ModelGraph
import Tensors
import Testing

@testable import Compression

private struct Shapes: WeightSource {
  var shapes: [String: Shape]
  var names: [String] { shapes.keys.sorted() }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(.bfloat16)) } }
  func load(_ name: String) throws -> Weight { .dense(Tensor(dataType: .bfloat16, shape: shapes[name] ?? [0]) { _ in }) }
}

@Suite struct TargetTests {
  private func graph(tied: Bool = false) throws -> ModelGraph {
    let shapes: [String: Shape] = [
      "e.weight": [10, 32], "l.0.q.weight": [32, 32], "l.0.up.weight": [96, 32], "l.0.down.weight": [32, 96], "head.weight": [10, 32],
    ]
    var builder = GraphBuilder(family: "toy", vocabularySize: 10, maximumPositions: 8, weights: Shapes(shapes: shapes))
    let x = try builder.embedding(builder.input, "e", width: 32)
    builder.endBlock(.embedding, "e")
    let q = try builder.linear(x, "l.0.q", outputs: 32, role: .attentionQuery)
    let up = try builder.linear(q, "l.0.up", outputs: 96, role: .mlpUp)
    let down = try builder.linear(up, "l.0.down", outputs: 32, role: .mlpDown)
    builder.endBlock(.layer(0), "l.0")
    let logits =
      tied
      ? try builder.linear(down, "head", outputs: 10, tiedTo: "e.weight")
      : try builder.linear(down, "head", outputs: 10, role: .languageModelHead)
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  private func schemes(_ targets: QuantizationTargets, tied: Bool = false) throws -> [String: QuantizationScheme] {
    let graph = try graph(tied: tied)
    return Dictionary(uniqueKeysWithValues: try targets.schemes(for: graph).map { (graph[$0.key].module, $0.value) })
  }

  @Test func theHeadStaysUnlessNamed() throws {
    var targets = QuantizationTargets()
    #expect(Set(try schemes(targets).keys) == ["l.0.q", "l.0.up", "l.0.down"])
    targets.overrides = [.init(pattern: "head", bits: 6)]
    #expect(try schemes(targets)["head"]?.bits == 6)
  }

  @Test func overridesAndIgnoresApplyInOrder() throws {
    var targets = QuantizationTargets()
    targets.bits = 4
    targets.groupSize = 32
    targets.overrides = [.init(pattern: "re:.*\\.(up|down)", bits: 3), .init(pattern: "down", bits: 8, groupSize: 0)]
    targets.ignore = ["re:l\\.0\\.q$"]
    let found = try schemes(targets)
    #expect(found["l.0.q"] == nil)
    #expect(found["l.0.up"] == QuantizationScheme(bits: 3, granularity: .group(32)))
    #expect(found["l.0.down"] == QuantizationScheme(bits: 8, granularity: .channel))
  }

  @Test func overlappingPatternsAllCount() throws {
    var targets = QuantizationTargets()
    targets.ignore = ["re:.*(up|down)", "l.0.up"]
    targets.overrides = [.init(pattern: "l.0.up", bits: 4)]
    #expect(Set(try schemes(targets).keys) == ["l.0.q"])
  }

  @Test func attentionMayKeepItsPrecision() throws {
    var targets = QuantizationTargets()
    targets.mixedPrecision = .attentionFP16
    #expect(Set(try schemes(targets).keys) == ["l.0.up", "l.0.down"])
  }

  @Test func aPatternThatMatchesNothingIsAnError() {
    for (overrides, ignore) in [
      ([QuantizationTargets.Override(pattern: "re:model.*")], [ModulePattern]()), ([], ["l.1.q"]), ([], ["re:.*\\.weight"]),
      ([], ["0.q.x"]),
    ] {
      var targets = QuantizationTargets()
      targets.overrides = overrides
      targets.ignore = ignore
      let error = #expect(throws: CompressionError.self) { try schemes(targets) }
      #expect(error?.kind == .usage)
    }
  }

  @Test func impossibleSettingsAreRefused() {
    let changes: [(inout QuantizationTargets) -> Void] = [
      { $0.bits = 7 }, { $0.bits = 1 }, { $0.groupSize = 64 }, { $0.groupSize = -2 }, { $0.ignore = ["re:.*"] }, { $0.ignore = ["re:("] },
      {
        $0.method = .asymmetric
        $0.activations = .int8
      },
    ]
    for change in changes {
      var targets = QuantizationTargets()
      change(&targets)
      let error = #expect(throws: CompressionError.self) { try schemes(targets) }
      #expect(error?.kind == .usage)
    }
  }

  /// Of a type that brings bits, groups and method along nothing else is passed over.
  @Test func typesDoNotPassOverOtherSettings() throws {
    let changes: [(inout QuantizationTargets) -> Void] = [
      { ($0.type, $0.bits) = (.fp8, 4) }, { ($0.type, $0.groupSize) = (.q4_0, 16) }, { ($0.type, $0.groupSize) = (.gguf, 64) },
      { ($0.type, $0.groupSize) = (.fp8, 32) }, { ($0.type, $0.method) = (.mxfp4, .asymmetric) },
      { ($0.type, $0.overrides) = (.fp8, [.init(pattern: "l.0.down", bits: 4)]) },
      { ($0.type, $0.overrides) = (.q4_0, [.init(pattern: "l.0.down", groupSize: 16)]) },
      { ($0.type, $0.overrides) = (.gguf, [.init(pattern: "l.0.down", groupSize: 16)]) },
      { $0.overrides = [.init(pattern: "l.0.down", bits: 6, type: .fp8)] },
      { ($0.type, $0.overrides) = (.mxfp4, [.init(pattern: "l.0.down", bits: 6)]) },
      { ($0.type, $0.overrides) = (.gguf, [.init(pattern: "l.0.down", bits: 7)]) },
    ]
    for (index, change) in changes.enumerated() {
      var targets = QuantizationTargets()
      change(&targets)
      let error = #expect(throws: CompressionError.self, "\(index)") { try schemes(targets) }
      #expect(error?.kind == .usage)
    }
    var targets = QuantizationTargets()
    targets.type = .q4_0
    // Bits of a rule for some go before a type of GGUF's for all, and what a later rule says before both.
    targets.overrides = [
      .init(pattern: "l.0.q", bits: 8), .init(pattern: "l.0.up", bits: 4, groupSize: 32), .init(pattern: "l.0.down", bits: 8),
      .init(pattern: "l.0.down", type: .q5_1),
    ]
    let found = try schemes(targets)
    #expect(found["l.0.q"] == WeightType.q8_0.blockScheme && found["l.0.up"] == WeightType.q4_0.blockScheme)
    #expect(found["l.0.down"] == WeightType.q5_1.blockScheme)
    for type in WeightType.allCases {
      guard let scheme = type.blockScheme else { continue }
      #expect(WeightType(blocks: scheme) == type)
    }
  }

  @Test func aTiedHeadCannotBeQuantized() throws {
    var targets = QuantizationTargets()
    #expect(Set(try schemes(targets, tied: true).keys) == ["l.0.q", "l.0.up", "l.0.down"])
    targets.overrides = [.init(pattern: "head", bits: 8)]
    #expect(throws: CompressionError.self) { try schemes(targets, tied: true) }
  }
}
