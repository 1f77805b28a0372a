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

  @Test(arguments: 0..<5) func whatWasMeasuredDifferentlyIsNotDrawnTogether(_ change: Int) {
    var reports = pair()
    switch change {
    case 0: reports[1].accuracy?.context = 1024
    case 1: reports[1].accuracy?.tokens = 7
    case 2: reports[1].inputs?.evalSHA256 = "00"
    case 3: reports[1].inputs?.modelSHA256 = "00"
    default: reports[1].accuracy = nil
    }
    #expect(!Comparability(reports).isComparable)
    let html = HTMLComparison.render(reports)
    #expect(MarkupCheck(html).problems == [])
    #expect(html.contains("Accuracy is not comparable across these reports"))
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
    #expect(!difference.differs)
    #expect(difference.windows == 5)
    #expect(PairedDifference([1, 2], minus: [1]) == nil)
    #expect(PairedDifference([1], minus: [1]) == nil)
    #expect(PairedDifference([.nan, 1], minus: [1, 1]) == nil)
    #expect(PairedDifference(nil, minus: [1, 1]) == nil)
    #expect(PairedDifference([2, 3, 4], minus: [1, 2, 3])?.differs == true)
  }

  // From tables of Student's distribution.
  @Test(arguments: [(1, 12.7062), (8, 2.3060), (10, 2.2281), (30, 2.0423), (71, 1.9939), (1000, 1.9623)])
  func quantiles(_ degrees: Int, _ value: Double) { #expect(abs(PairedDifference.quantile(degrees: degrees) - value) < 2e-4) }

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
  }
}
