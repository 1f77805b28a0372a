import DeepSeekOptimize
import Testing

/// What a recipe with a mistake is answered: where, what, and the name that was meant.
@Suite struct RecipeMessageTests {
  @Test(arguments: [
    ("version: 1\nformt: gguf\npasses: []", "r.yaml, line 2: formt: is not a key", "'format'"),
    ("passes:\n- gptq:\n    bits: 4\n    groupsize: 128", "r.yaml, line 4: gptq: groupsize: is not an option", "'group-size'"),
    ("# x\n\npasses:\n- smooth\n- gtpq: {bits: 4}", "r.yaml, line 5: gtpq: is not a pass", "'gptq'"),
    ("passes:\n- smoth", "r.yaml, line 2: smoth: is not a pass", "'smooth'"),
    ("passes:\n- gptq: {scale-search: imatrx}", "r.yaml, line 2: gptq: scale-search: is \"imatrx\"", "'imatrix'"),
    ("passes:\n- gptq:\n    bits: 4\n    method: symetric", "r.yaml, line 4: gptq: method: is \"symetric\"", "'symmetric'"),
    ("passes:\n- gptq:\n    bits: four", "r.yaml, line 3: gptq: bits: is \"four\", not a whole number", ""),
    ("passes:\n- gptq:\n    bits: 7", "r.yaml, line 3: gptq: bits: cannot be 7", "use 8, 6, 5, 4, 3 or 2"),
    ("passes:\n- awq: {bits: 4,\n  group-size: -3}", "r.yaml, line 3: awq: group-size: cannot be -3", "128"),
    ("passes:\n- prune: {}", "r.yaml, line 2: prune: removes nothing", "target-parameters"),
    ("passes:\n- round-to-nearest: {type: q4k}", "r.yaml, line 2: round-to-nearest: type: is \"q4k\"", "'q4_k'"),
    (
      "passes:\n- gptq:\n    overrides:\n    - {pattern: a}\n    - {pattern: b, bit: 4}",
      "r.yaml, line 5: gptq: overrides[1].bit: is not a setting", "'bits'"
    ),
    ("passes:\n- sparsify: {pattern: 2:4}", "r.yaml, line 2: sparsify: pattern: is 124", "2:4"),
    ("passes: []\nformat: gguff", "r.yaml, line 2: format", "'gguf'"), ("passes: []\nseed: x", "r.yaml, line 2: seed", ""),
    ("passes: []\ncalibration:\n  text: demo\n  sample: 3", "r.yaml, line 4: calibration.sample", "'samples'"),
    ("passes: []\ncalibration: {text: demo,\n  sampling: tier}", "r.yaml, line 3: calibration.sampling", "'tiers'"),
    ("passes:\n- gptq: {bits: 4}\n- [x]", "r.yaml, line 3: passes", ""), ("passes:\n  x: 1", "r.yaml, line 1: passes", ""),
    ("passes: []\nseed: 1\nseed: 2", "r.yaml, line", "twice"), ("passes: [\n\n", "r.yaml, line", "is not YAML"),
  ])
  func mistakesAreNamedByTheirLine(_ text: String, _ head: String, _ words: String) {
    let error = #expect(throws: RecipeError.self) { try Recipe(yaml: text, file: "r.yaml") }
    #expect(error?.kind == .badConfiguration)
    let description = error?.description ?? ""
    #expect(description.hasPrefix(head) && (words.isEmpty || description.contains(words)), "\(description)")
    if words.hasPrefix("'") { #expect(description.contains("did you mean \(words)?"), "\(description)") }
  }

  /// From Swift there is no file to point into.
  @Test func optionsFromSwiftAreNamedToo() {
    let error = #expect(throws: CompressionError.self) { try GPTQ(options: ["act-oder": true]) }
    #expect(error?.subject == "gptq: act-oder" && error?.remedy.hasPrefix("did you mean 'act-order'?") == true)
  }

  /// Every option of every pass in another than its default, through YAML and back.
  @Test func everyOptionOfEveryPassRoundTrips() throws {
    for type in PassCatalog.passes {
      let defaults = type.init().options
      var changed = defaults
      for (key, value) in defaults.members.map({ ($0.key, $0.value) }) {
        var options = changed
        options[key] = other(than: value)
        // A word that is not one of the option's own stays as it is.
        if (try? PassCatalog.pass(type.identifier, options: options)) != nil { changed[key] = options[key] }
      }
      let pass = try PassCatalog.pass(type.identifier, options: changed)
      #expect(pass.options == changed)
      let recipe = Recipe(seed: 5, calibration: CalibrationPlan(text: "t.txt", samples: 3)) { pass }
      let again = try Recipe(yaml: recipe.yaml())
      let found = try #require(again.passes.first)
      #expect(again.passes.count == 1 && isSame(found, pass), "\(type.identifier)")
      #expect(again.yaml() == recipe.yaml() && again.seed == 5)
      #expect(again.calibration == (recipe.yaml().contains("calibration:") ? recipe.calibration : nil))
    }
  }

  private func isSame<Pass: RecipePass>(_ found: any RecipePass, _ pass: Pass) -> Bool { found as? Pass == pass }

  private func other(than value: JSONValue) -> JSONValue {
    switch value {
    case .bool(let flag): .bool(!flag)
    // Widths of codes are 8, and 4, but not 9.
    case .integer(let number): .integer(number == 8 ? 4 : number + 1)
    case .number(let number): .number(number / 2 + 0.125)
    case .string: "a \"b\": {c} #é"
    case .array(let elements) where elements.isEmpty: ["re:.*x$"]
    default: value
    }
  }
}
