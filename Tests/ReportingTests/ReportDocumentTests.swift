import Diagnostics
import StructuredData
import Testing

@testable import Reporting

@Suite struct ReportDocumentTests {
  @Test func roundTripThroughText() throws {
    let report = Samples.report()
    let text = report.json.text()
    #expect(try CompressionReport(json: JSONValue(parsing: text)) == report)
    #expect(try CompressionReport(json: JSONValue(parsing: report.json.text(pretty: false))) == report)
  }

  @Test func keysAreInTheDocumentedOrder() throws {
    let json = Samples.report().json
    #expect(
      json.object?.keys == [
        "schema", "tool", "model", "recipe", "inputs", "outputs", "calibration", "size", "accuracy", "activations", "keyValueCache",
        "allocation", "layers", "speed", "resources", "gates", "warnings",
      ])
    #expect(json["schema"] == 1)
    #expect(
      json["accuracy"]?.object?.keys == [
        "text", "tokens", "context", "reference", "compressed", "perplexityRatio", "perplexityRatioInterval", "klDivergence",
        "topTokenAgreement", "flips", "klHistogram", "windows",
      ])
    #expect(
      json["accuracy"]?["klDivergence"]?.object?.keys == ["mean", "standardError", "median", "p95", "p99", "p999", "max"])
    #expect(
      json["layers"]?.array?.first?.object?.keys == [
        "name", "bits", "groupSize", "format", "weightSQNRdB", "outputSQNRdB", "clippedFraction",
      ])
    #expect(json["accuracy"]?["perplexityRatioInterval"] == [0.9999, 1.0005])
    #expect(
      json["activations"]?.array?.first?.object?.keys == [
        "kind", "perplexityRatio", "perplexityRatioInterval", "klDivergence", "topTokenAgreement",
      ])
    #expect(
      json["keyValueCache"]?.object?.keys == [
        "type", "bytesPerToken", "referenceBytesPerToken", "perplexityRatio", "perplexityRatioInterval", "klDivergence",
        "topTokenAgreement",
      ])
    #expect(
      json["allocation"]?.object?.keys == [
        "goal", "limit", "bitsPerWeight", "weights", "bytes", "predictedKL", "measuredKL", "heldOutTokens", "seconds", "rounds", "groups",
      ])
    #expect(
      json["allocation"]?["groups"]?.array?.first?.object?.keys == [
        "name", "layers", "bits", "groupSize", "weights", "bytes", "predictedKL",
      ])
  }

  @Test func whatWasNotMeasuredIsAbsent() {
    let report = CompressionReport(tool: .init(name: "t", version: "1"), model: .init(name: "m"), accuracy: .init())
    #expect(report.json.object?.keys == ["schema", "tool", "model", "recipe", "gates", "warnings"])
    #expect(!Samples.report().json.text().contains("null"))
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity]) func figuresThatAreNotFiniteAreLeftOut(_ bad: Double) throws {
    var report = Samples.report()
    report.size?.ratio = bad
    report.accuracy?.perplexityRatio = bad
    report.accuracy?.perplexityRatioInterval = .init(lower: 0.9, upper: bad)
    report.accuracy?.klDivergence?.max = bad
    report.accuracy?.windows?.klDivergence = [1, bad]
    report.activations?[0].perplexityRatio = bad
    report.activations?[0].klDivergence?.mean = bad
    report.layers?[0].inputClippedFraction = bad
    report.allocation?.predictedKL = bad
    report.keyValueCache?.perplexityRatio = bad
    report.keyValueCache?.klDivergence?.mean = bad
    report.layers?[0].weightSQNRdB = bad
    report.gates[0].value = bad
    report.recipe = [["pass": "x", "a": .number(bad), "b": [.number(bad), 2]]]
    let json = report.json
    #expect(json["size"]?["ratio"] == nil)
    #expect(json["accuracy"]?["perplexityRatio"] == nil)
    #expect(json["accuracy"]?["perplexityRatioInterval"] == nil)
    #expect(json["accuracy"]?["klDivergence"]?["max"] == nil)
    #expect(json["accuracy"]?["windows"]?["klDivergence"] == nil)
    #expect(json["keyValueCache"]?["perplexityRatio"] == nil)
    #expect(json["layers"]?.array?[0]["weightSQNRdB"] == nil)
    #expect(json["gates"]?.array?[0]["value"] == nil)
    #expect(json["recipe"] == [["pass": "x", "b": [2]]])
    #expect(!json.text().contains("null"))
    _ = try CompressionReport(json: JSONValue(parsing: json.text()))
    // The other forms must bear such figures too.
    #expect(MarkupCheck(HTMLReport.render(report)).problems == [])
    #expect(!HTMLReport.render(report).lowercased().contains("nan"))
    #expect(!ReportTable(report).text().lowercased().contains("nan "))
  }

  @Test func unknownKeysAreIgnoredAndNullMeansAbsent() throws {
    let text = """
      {"schema": 1, "tool": {"name": "t", "version": "1", "commit": []}, "model": {"name": "m", "family": null}, "future": {"a": 1},
       "size": null, "accuracy": {"perplexityRatio": 1, "new": "x"}}
      """
    let report = try CompressionReport(json: JSONValue(parsing: text))
    #expect(report.model.family == nil)
    #expect(report.size == nil)
    #expect(report.accuracy == .init(perplexityRatio: 1))
    #expect(report.layers == nil)
  }

  @Test(arguments: [
    (#"[]"#, "report"), (#"{}"#, "schema"), (#"{"schema": 2}"#, "schema"), (#"{"schema": "1"}"#, "schema"),
    (#"{"schema": 1}"#, "tool"), (#"{"schema": 1, "tool": {"name": 3, "version": "1"}}"#, "tool.name"),
    (#"{"schema": 1, "tool": {"name": "t"}}"#, "tool.version"),
  ])
  func brokenHeadsAreRefused(_ text: String, _ path: String) throws {
    let json = try JSONValue(parsing: text)
    let error = #expect(throws: ReportError.self) { try CompressionReport(json: json) }
    #expect(error?.subject == path)
    #expect(error?.kind == .badData)
    #expect(error?.inFile("r.json").description.hasPrefix("r.json: \(path): ") == true)
  }

  @Test(arguments: [
    (#""recipe": ["gptq"]"#, "recipe[0]"), (#""recipe": [{"pass": 1}]"#, "recipe[0].pass"), (#""recipe": {}"#, "recipe"),
    (#""size": {"sourceBytes": -1}"#, "size.sourceBytes"), (#""size": {"sourceBytes": 1.5}"#, "size.sourceBytes"),
    (#""size": {"ratio": "0.5"}"#, "size.ratio"), (#""size": []"#, "size"),
    (#""accuracy": {"perplexityRatioInterval": [1]}"#, "accuracy.perplexityRatioInterval"),
    (#""accuracy": {"perplexityRatioInterval": [2, 1]}"#, "accuracy.perplexityRatioInterval"),
    (#""accuracy": {"perplexityRatioInterval": [1, true]}"#, "accuracy.perplexityRatioInterval[1]"),
    (#""accuracy": {"klDivergence": {"mean": []}}"#, "accuracy.klDivergence.mean"),
    (#""accuracy": {"klHistogram": {"edges": [1, 2], "counts": []}}"#, "accuracy.klHistogram"),
    (#""accuracy": {"klHistogram": {"edges": [2, 1], "counts": [1]}}"#, "accuracy.klHistogram"),
    (#""accuracy": {"klHistogram": {"edges": [1, 2], "counts": [-1]}}"#, "accuracy.klHistogram.counts[0]"),
    (#""layers": [{"name": "a"}, {"bits": 4}]"#, "layers[1].name"), (#""layers": [{"name": "a", "fallback": true}]"#, "layers[0].fallback"),
    (#""gates": [{"name": "a"}]"#, "gates[0].passed"), (#""warnings": [1]"#, "warnings[0]"),
    (#""outputs": [{"name": "a", "bytes": 1e30}]"#, "outputs[0].bytes"), (#""keyValueCache": {"bytesPerToken": 1}"#, "keyValueCache.type"),
    (#""activations": [{"perplexityRatio": 1}]"#, "activations[0].kind"), (#""activations": {}"#, "activations"),
    (#""activations": [{"kind": "int8"}, {"kind": "none", "topTokenAgreement": "1"}]"#, "activations[1].topTokenAgreement"),
    (#""allocation": {"limit": 4}"#, "allocation.goal"), (#""calibration": {"windows": 3}"#, "calibration.text"),
    (#""calibration": {"text": "t", "windows": -1}"#, "calibration.windows"),
    (
      #""calibration": {"text": "t", "windows": 1, "tokens": 1, "sampling": "random", "trials": [{"seconds": 1}]}"#,
      "calibration.trials[0].algorithm"
    ),
    (#""allocation": {"goal": "x", "groups": [{"bits": 4}]}"#, "allocation.groups[0].name"),
    (#""keyValueCache": {"type": "int8", "bytesPerToken": "1"}"#, "keyValueCache.bytesPerToken"),
    (#""keyValueCache": {"type": "int8", "klDivergence": {"mean": "0"}}"#, "keyValueCache.klDivergence.mean"),
  ])
  func wrongTypesAreRefused(_ member: String, _ path: String) throws {
    let head = #"{"schema": 1, "tool": {"name": "t", "version": "1"}, "model": {"name": "m"}, "#
    let json = try JSONValue(parsing: head + member + "}")
    let error = #expect(throws: ReportError.self) { try CompressionReport(json: json) }
    #expect(error?.subject == path)
    #expect(error?.kind.rawValue == 65)
  }

  @Test func histogramCountsEveryFiniteValueOnce() throws {
    let edges = CompressionReport.Histogram.logarithmicEdges(decades: -3...1, perDecade: 1)
    #expect(edges.count == 6)
    let histogram = try #require(
      CompressionReport.Histogram(values: [0, 0.0005, 0.001, 0.05, 0.5, 5, 500, .nan, .infinity], edges: edges))
    #expect(histogram.counts == [2, 1, 1, 1, 2])
    #expect(CompressionReport.Histogram(values: [1], edges: [1]) == nil)
    #expect(CompressionReport.Histogram(edges: [0, 1, 1], counts: [0, 0]) == nil)
  }
}
