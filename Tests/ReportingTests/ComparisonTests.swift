import StructuredData
import Testing

@testable import Reporting

@Suite struct ComparisonTests {
  private func pair() -> [CompressionReport] {
    var other = Samples.report()
    other.recipe = [["pass": "rtn", "bits": 8]]
    other.size?.outputBytes = 9_000_000
    other.accuracy?.klDivergence?.mean = 1e-5
    return [Samples.report(), other]
  }

  @Test func comparableReportsGetEveryPart() {
    let html = HTMLComparison.render(pair())
    #expect(MarkupCheck(html).problems == [])
    for id in ["figures", "pareto", "divergence", "paired", "layers"] { #expect(html.contains("<h2 id=\"\(id)\">"), "\(id)") }
    #expect(!html.contains("Read this first"))
    #expect(html.contains("No other report beats these on both: #1, #2."))
  }

  @Test(arguments: 0..<7) func whatWasMeasuredDifferentlyIsNotDrawnTogether(_ change: Int) {
    var reports = pair()
    switch change {
    case 0: reports[1].accuracy?.context = 1024
    case 1: reports[1].accuracy?.tokens = 7
    case 2: reports[1].inputs?.evalSHA256 = "00"
    case 3: reports[1].accuracy?.reference?.perplexity = 36.08
    case 4: reports[1].accuracy?.compute = "16bit"
    case 5:
      reports[1].inputs?.modelSHA256 = "00"
      reports[1].accuracy?.reference = nil
    default: reports[1].accuracy = nil
    }
    #expect(!Comparability(reports).isComparable)
    let html = HTMLComparison.render(reports)
    #expect(MarkupCheck(html).problems == [])
    #expect(html.contains("Report 2 is not comparable with the others in accuracy"))
    for id in ["pareto", "divergence", "paired"] { #expect(!html.contains("<h2 id=\"\(id)\">"), "\(id)") }
    #expect(html.contains("<h2 id=\"figures\">"))
  }

  @Test func textNamesDecideOnlyWithoutHashes() {
    var reports = pair()
    reports[1].accuracy?.text = "renamed.txt"
    #expect(Comparability(reports).isComparable)
    reports[0].inputs?.evalSHA256 = nil
    #expect(!Comparability(reports).isComparable)
  }

  @Test func pairedIntervalIsStudents() throws {
    let difference = try #require(PairedDifference([1.1, 2.3, 2.9, 4.2, 5.5], minus: [1, 2, 3, 4, 5]))
    // Differences 0.1 0.3 -0.1 0.2 0.5: mean 0.2, standard deviation 0.2236, standard error 0.1, t(4) = 2.7764.
    #expect(abs(difference.mean - 0.2) < 1e-12)
    #expect(abs(difference.interval.lower - -0.07764) < 1e-5)
    #expect(abs(difference.interval.upper - 0.47764) < 1e-5)
    #expect(difference.windows == 5)
    #expect(PairedDifference([1, 2], minus: [1]) == nil)
    #expect(PairedDifference([1], minus: [1]) == nil)
    #expect(PairedDifference([.nan, 1], minus: [1, 1]) == nil)
    #expect(PairedDifference(nil, minus: [1, 1]) == nil)
    #expect(PairedDifference([2, 3, 4], minus: [1, 2, 3])?.interval == .init(lower: 1, upper: 1))
  }

  @Test func oneThatWasMeasuredOtherwiseDoesNotSpoilTheRest() {
    var other = Samples.report()
    other.accuracy?.context = 1024
    let comparability = Comparability([other] + pair() + [other, Samples.report()])
    #expect(comparability.compared == [1, 2, 4])
    #expect(comparability.apart.map(\.index) == [0, 3])
    #expect(comparability.notices.count == 2)
    #expect(comparability.notices[0] == "Report 1 is left out wherever accuracies are compared: the window lengths differ (1,024 and 512).")
    let html = HTMLComparison.render([other] + pair())
    #expect(MarkupCheck(html).problems == [])
    #expect(html.contains("Difference from report 2") && html.contains("†</th>"))
    #expect(Comparability([Samples.report()]).notices == [])
    #expect(Comparability([]).compared == [])
  }

  /// A distilled model is held against its teacher, which a pruned one began as.
  @Test func theReferenceDecidesNotTheSource() {
    var reports = pair()
    reports[1].inputs?.modelSHA256 = "00"
    reports[1].accuracy?.reference?.perplexity = 36.0712 * (1 + 1e-7)
    #expect(Comparability(reports).isComparable && !Comparability(reports).sameSource)
  }

  @Test func manyTestsAreCorrected() {
    // 0.01 · 3; 0.03 · 2; 0.04 · 1, but not below the one before.
    let corrected = PairedTests.holm([0.01, 0.04, 0.03])
    for (value, expected) in zip(corrected, [0.03, 0.06, 0.06]) { #expect(abs(value - expected) < 1e-12) }
    #expect(PairedTests.holm([0.9, 0.8]) == [1, 1])
  }

  @Test func identicalReportsAreCalledSo() throws {
    let tests = PairedTests([Samples.report(), Samples.report()], [0, 1])
    let pair = try #require(tests.pairs.first)
    #expect(pair.perplexity?.verdict == .identical && pair.divergence?.verdict == .identical)
    #expect(PairedTests(Array(repeating: Samples.report(), count: 13), Array(0..<13)).pairs.count == 12)
    #expect(PairedTests(Array(repeating: Samples.report(), count: 12), Array(0..<12)).pairs.count == 66)
  }

  @Test func aMatrixOfPairsForMoreThanTwo() throws {
    var reports = pair() + [Samples.report()]
    reports[1].accuracy?.windows?.klDivergence = (0..<72).map { 2e-5 + Double($0 % 5) * 1.1e-7 }
    let html = HTMLComparison.render(reports)
    #expect(MarkupCheck(html).problems == [])
    #expect(html.contains("Mean KL divergence, row less column"))
    // Report 1 against itself, 2 and 3; then 2 against the others.
    #expect(html.contains("</th><td></td><td>+9.98\u{A0}×\u{A0}10⁻⁶</td><td>identical</td></tr>"))
    #expect(html.contains("</th><td>−9.98\u{A0}×\u{A0}10⁻⁶</td><td></td><td>−9.98\u{A0}×\u{A0}10⁻⁶</td></tr>"))
    #expect(!HTMLComparison.render(pair()).contains("row less column"))
  }

  @Test func theFrontIsWhatNothingBeats() {
    var reports = pair() + pair()
    for (index, figures) in [(10, 0.1), (20, 0.05), (30, 0.06), (40, 0.05)].enumerated() {
      reports[index].size?.outputBytes = figures.0
      reports[index].accuracy?.klDivergence?.mean = figures.1
    }
    let comparison = ReportComparison(reports)
    #expect(comparison.dominators(by: .bytes) == [0: nil, 1: nil, 2: 1, 3: 1])
    #expect(comparison.front == "On size and mean KL together no other report beats 1 and 2.")
    let html = HTMLComparison.render(reports)
    #expect(html.contains("beaten by #2") && html.contains("on the front") && html.contains("By bits per weight"))
  }

  @Test func exceedanceFallsFromAllToTheLastBin() throws {
    let histogram = try #require(CompressionReport.Histogram(edges: [0, 0.1, 1, 10], counts: [50, 40, 10]))
    let points = ComparisonPage.exceedance(histogram)
    #expect(points.map(\.x) == [0.1, 1])
    #expect(points.map(\.y) == [0.5, 0.1])
  }

  @Test func kindsAreTheShortestEndingsThatDiffer() {
    let names = [
      "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.gate_proj", "model.layers.1.mlp.experts.7.gate_proj.weight",
      "model.layers.1.mlp.shared_experts.gate_proj", "lm_head",
    ]
    let kinds = LayerPosition.kinds(of: names.map { .init(name: $0) })
    #expect(kinds.order == ["q_proj", "mlp.gate_proj", "experts.gate_proj", "shared_experts.gate_proj", "lm_head"])
    #expect(kinds.positions.map(\.block) == [0, 0, 1, 1, nil])
    #expect(LayerPosition(name: "99999999999999999999.x").block == nil)
    #expect(LayerPosition(name: "").path == [""])
    #expect(LayerPosition(name: "3").path == ["3"])
    // So many kinds are no model's: telling them apart must not take the square of their number.
    let hostile = LayerPosition.kinds(of: (0..<50_000).map { .init(name: "b.x\($0).w") })
    #expect(hostile.order.count == 50_000 && hostile.order.first == "b.x0.w")
  }
}
