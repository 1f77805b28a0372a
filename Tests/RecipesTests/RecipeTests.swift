import DeepSeekOptimize
import Foundation
import Testing

@Suite struct RecipeTests {
  @Test func yamlAndSwiftAreOneThing() throws {
    let narrow = true
    let recipe = Recipe(format: .hdf5, seed: 7) {
      if narrow { RoundToNearest(bits: 3, method: .asymmetric, groupSize: 32) }
    }
    let again = try Recipe(yaml: recipe.yaml())
    #expect(again.yaml() == recipe.yaml())
    #expect(again.format == .hdf5 && again.seed == 7)
    #expect(again.passes.first as? RoundToNearest == recipe.passes.first as? RoundToNearest)
  }

  @Test(arguments: CalibrationStrategy.allCases, ["train.txt", "/a b/\"c\" 'd': #é.jsonl"])
  func calibrationRoundTrips(_ strategy: CalibrationStrategy, _ path: String) throws {
    let plan = CalibrationPlan(text: path, samples: 17, sequenceLength: 96, strategy: strategy)
    let recipe = Recipe(passes: [GPTQ(bits: 4)], calibration: plan)
    #expect(try Recipe(yaml: recipe.yaml()).calibration == plan)
    // Where no pass needs any, none is written.
    #expect(try Recipe(yaml: Recipe(passes: [RoundToNearest()], calibration: plan).yaml()).calibration == nil)
  }

  @Test func calibrationIsResolvedForTheModel() throws {
    let model = try ModelBundle(opening: "demo")
    let settings = RunSettings(output: FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString))
    func run(_ length: Int) -> CompressionRun {
      CompressionRun(
        model: model, recipe: Recipe(passes: [GPTQ(bits: 4)], calibration: CalibrationPlan(text: "demo", sequenceLength: length)),
        settings: settings)
    }
    #expect(run(0).recipe.calibration?.sequenceLength == 512)
    #expect(run(64).recipe.calibration?.sequenceLength == 64)
    #expect(throws: (any Error).self) { try run(513).plan() }
    #expect(throws: Never.self) { try run(512).plan() }
  }

  /// Rotation works on weights as they are read, so it would come first whatever the list said.
  @Test func rotationStandsBeforeSmoothing() throws {
    let model = try ModelBundle(opening: "demo")
    let settings = RunSettings(output: FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString))
    func plan(_ passes: [any CompressionPass]) throws {
      let recipe = Recipe(passes: passes, calibration: CalibrationPlan(text: "demo", sequenceLength: 64))
      _ = try CompressionRun(model: model, recipe: recipe, settings: settings).plan()
    }
    #expect(throws: Never.self) { try plan([HadamardRotation(), SmoothQuant(), GPTQ(bits: 4)]) }
    let error = #expect(throws: RecipeError.self) { try plan([SmoothQuant(), HadamardRotation(), GPTQ(bits: 4)]) }
    #expect(error?.kind == .badConfiguration)
  }

  @Test func starsAndAmpersandsInsideWordsAreNoAliases() throws {
    let text = "# a *comment & more\npasses:\n- round-to-nearest: {ignore: [re:.*up_proj, 're:*&', \"re:.*\\\"*x\"]}\n"
    #expect((try Recipe(yaml: text).passes.first as? RoundToNearest)?.targets.ignore.count == 3)
  }

  @Test(arguments: [UInt64(0), 1 << 62, UInt64(Int64.max) + 1, .max])
  func everySeedRoundTrips(_ seed: UInt64) throws {
    #expect(try Recipe(yaml: Recipe(passes: [], seed: seed).yaml()).seed == seed)
  }

  /// Ten levels of ten aliases: refused at once, not expanded.
  @Test(.timeLimit(.minutes(1))) func aliasesDoNotGrow() {
    var text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
    for level in 1...10 { text += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",") + "]\n" }
    let error = #expect(throws: RecipeError.self) { try Recipe(yaml: text + "passes: *a10\n") }
    #expect(error?.kind == .badConfiguration)
  }

  /// Quotes that are letters to the parser, within a plain word or in a block of text, hide nothing.
  @Test(.timeLimit(.minutes(1)), arguments: ["note: a \"b\n", "note: a 'b\n", "note: |\n  \"\n", "note: >\n  - 'x\n", "note: - #'\n"])
  func aliasesDoNotHideBehindQuotes(_ beginning: String) {
    var lists = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
    for level in 1...10 {
      lists += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",") + "]\n"
    }
    // As a value, and as a key, which the parser itself compares with others.
    for ending in ["passes: *a10\n", "? *a10\n: x\n"] {
      let error = #expect(throws: RecipeError.self) { try Recipe(yaml: beginning + lists + ending) }
      #expect(error?.kind == .badConfiguration && error?.problem.contains("an anchor or an alias") == true)
    }
  }

  /// As recipes are written: a value may stand right behind the colon of a key in quotes, be it one in quotes or an anchor.
  @Test func valuesBehindQuotedKeys() throws {
    // Written, the mark of an anchor is spelled out, and the one of an alias may stand beside it.
    for (written, meant) in [("x, &b", "x, &b"), ("x, \\u0026b *c", "x, &b *c")] {
      let recipe = try Recipe(yaml: "passes:\n- round-to-nearest: {\"overrides\":[{\"pattern\":\"\(written)\",\"bits\":4}]}\n")
      let pass = try #require(recipe.passes.first as? RoundToNearest)
      #expect(pass.targets.overrides.map(\.pattern) == [ModulePattern(meant)])
      let again = try Recipe(yaml: recipe.yaml())
      #expect(again.yaml() == recipe.yaml() && again.passes.first as? RoundToNearest == pass)
    }
    let error = #expect(throws: RecipeError.self) { try Recipe(yaml: "passes: {\"round-to-nearest\":&a {}}\n") }
    #expect(error?.problem.contains("an anchor or an alias") == true)
  }

  @Test(arguments: ["[", "{a: ", "- ", "? "]) func deepNestingIsRefused(_ opening: String) {
    let error = #expect(throws: RecipeError.self) { try Recipe(yaml: String(repeating: opening, count: 200_000)) }
    #expect(error?.kind == .badConfiguration)
  }

  @Test func shortFormsAreRead() throws {
    let recipe = try Recipe(yaml: "passes:\n- round-to-nearest: {bits: 4, group-size: 64, ignore: ['re:.*up_proj']}\n")
    let pass = try #require(recipe.passes.first as? RoundToNearest)
    #expect(pass.targets.bits == 4 && pass.targets.groupSize == 64 && pass.targets.ignore == ["re:.*up_proj"])
    #expect(try Recipe(yaml: "passes: [round-to-nearest]").passes.first as? RoundToNearest == RoundToNearest())
  }

  @Test(arguments: [
    "", "[]", "passes: 3", "pases: []", "passes:\n- gptq9: {}", "passes:\n- round-to-nearest: {bit: 4}", "passes:\n- round-to-nearest: [4]",
    "passes:\n- {round-to-nearest: {}, other: {}}", "passes: []\nversion: 2", "passes: []\nformat: onnx", "passes: []\nseed: -1",
    "passes: [\n",
    "passes: []\ncalibration: text.txt", "passes: []\ncalibration: {samples: 3}", "passes: []\ncalibration: {text: a, windows: 3}",
    "passes: []\ncalibration: {text: a, samples: 0}", "passes: []\ncalibration: {text: a, sequence-length: 1}",
    "passes: []\ncalibration: {text: a, samples: 1.5}", "passes: []\ncalibration: {text: a, sampling: all}",
    "passes:\n- gptq: {polish: much}", "passes:\n- gptq: {polish: -1.5}",
    "a: &a [x]\npasses: *a", "passes: &a []", "passes: []\npasses: []",
  ])
  func whatIsWrongIsRefusedAsConfiguration(_ text: String) {
    do {
      _ = try Recipe(yaml: text)
      Issue.record("accepted: \(text)")
    } catch {
      #expect((error as? any Failure)?.kind == .badConfiguration, "\(error)")
    }
  }
}
