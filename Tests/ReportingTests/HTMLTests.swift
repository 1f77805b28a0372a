import StructuredData
import Testing

@testable import Reporting

@Suite struct HTMLTests {
  @Test func textIsEscaped() {
    #expect(HTML.escape("<a href=\"x\" id='y'>&") == "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;")
    #expect(HTML.escape("a\u{0}\u{202E}\u{200B}b\n") == "a\u{FFFD}\u{FFFD}\u{FFFD}b\n")
    #expect(HTML.name(String(repeating: "<", count: 1_000_000)).utf8.count < 1000)
    #expect(HTML.name("e" + String(repeating: "\u{301}", count: 1_000_000)).utf8.count < 2000)
  }

  @Test func reportIsWellFormedAndAccessible() {
    let html = HTMLReport.render(Samples.report())
    let check = MarkupCheck(html)
    #expect(check.problems == [])
    #expect(html.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">"))
    #expect(html.contains("name=\"viewport\""))
    #expect(html.contains("prefers-color-scheme:dark"))
    #expect(html.contains(":focus-visible"))
    // One h1 first, then no level is skipped on the way down.
    #expect(check.headings.first == 1)
    #expect(check.headings.filter { $0 == 1 }.count == 1)
    #expect(zip(check.headings, check.headings.dropFirst()).allSatisfy { $1 <= $0 + 1 })
    #expect(check.tags["table"] == check.tags["caption"])
    #expect((check.tags["svg"] ?? 0) >= 8)
    #expect(html.matches(of: /<svg [^>]*role="img" aria-labelledby=/).count == check.tags["svg"])
    #expect(check.tags["desc"] == check.tags["svg"])
    #expect(html.matches(of: /<th(?=[ >])[^>]*scope=/).count == check.tags["th"])
    #expect(check.tags["script"] == nil)
    expectNothingOutside(html)
    // Whoever skips goes to the content; sections are a list of links; what scrolls can be reached and has a name.
    #expect(html.contains("<a class=\"skip\" href=\"#content\">") && html.contains("<main id=\"content\""))
    #expect(html.contains("<nav aria-label=\"Sections\">") && html.contains("<a href=\"#layers\">Layers</a>"))
    #expect(
      html.matches(of: /<div class="scroll" role="region" aria-label="[^"]+" tabindex="0">/).count
        == html.matches(of: /class="scroll"/).count)
    // Each drawing's figures are in a table, too.
    for name in ["Bytes before and after", "Perplexity, 95 % intervals", "Predictions by KL divergence"] {
      #expect(html.contains("As a table: \(name)"), "\(name)")
    }
    for rule in ["prefers-reduced-motion", "forced-colors", "@media print"] { #expect(html.contains(rule), "\(rule)") }
  }

  /// Nothing is fetched: the only addresses are anchors of the page itself.
  private func expectNothingOutside(_ html: String) {
    for part in ["http:", "https:", "//", "url(", "@import", "<link", "<img", "<script", "<iframe", "<object", " src=", "srcset", "data:"] {
      #expect(!html.contains(part), "\(part)")
    }
    #expect(html.matches(of: /href="[^#]/).isEmpty)
  }

  /// The size of DeepSeek-V3: 61 blocks, 58 of them with 256 experts of three projections.
  @Test func hundredsOfBillionsOfParametersFitThePage() {
    var report = Samples.report(blocks: 61)
    for block in 3..<61 {
      for expert in 0..<256 {
        for (index, kind) in ["gate_proj", "up_proj", "down_proj"].enumerated() {
          let noise = Double((block * 31 + expert * 17 + index * 7) % 101) / 10
          report.layers?.append(
            .init(
              name: "model.layers.\(block).mlp.experts.\(expert).\(kind)", bits: 4, groupSize: 128, format: "W4A16 g128",
              weightSQNRdB: 20 + noise, outputSQNRdB: 18 + noise, clippedFraction: 0.0004, calibrationTokens: expert))
        }
      }
    }
    #expect(report.layers?.count == 44_971)
    let html = HTMLReport.render(report)
    #expect(html.utf8.count < 400_000, "\(html.utf8.count)")
    #expect(html.contains("worst of 44,971 layers") && html.contains("report.json has all of them"))
    expectNothingOutside(html)
    var others = [report]
    for index in 1..<10 {
      var other = report
      other.size?.outputBytes = 7_000_000 + index * 100_000
      other.accuracy?.klDivergence?.mean = 3e-5 / Double(index + 1)
      others.append(other)
    }
    let comparison = HTMLComparison.render(others)
    #expect(comparison.utf8.count < 400_000, "\(comparison.utf8.count)")
    expectNothingOutside(comparison)
  }

  @Test func reportSaysWhatWasMeasured() throws {
    let html = HTMLReport.render(Samples.report())
    #expect(html.contains("13.6\u{A0}MB → 7.21\u{A0}MB (0.53×)"))
    #expect(html.contains("+0.02\u{A0}%, 95\u{A0}% interval −0.01\u{A0}% to +0.05\u{A0}%"))
    #expect(html.contains("Measured on wiki.txt, 36,863 scored predictions, in windows of 512 tokens"))
    #expect(html.contains("interval includes zero"))
    #expect(html.contains("keys and values kept as int8 instead of float32"))
    #expect(html.contains("<td>6,144</td><td>1,632</td><td>0.27×</td>"))
    #expect(html.contains("1 of 2 gates missed"))
    let warning = try #require(html.firstRange(of: "The text is short."))
    let lead = try #require(html.firstRange(of: "class=\"lead\""))
    #expect(warning.upperBound < lead.lowerBound)
  }

  /// The passes stand as a recipe has them, and the command is one that exists.
  @Test func theRecipeCanBeRunAgain() {
    var report = Samples.report()
    report.recipe = [
      ["pass": "smooth", "strength": 0.5], ["pass": "gptq", "bits": 4, "overrides": [["pattern": "re:.*down_proj", "bits": 8]]],
    ]
    let html = HTMLReport.render(report)
    let passes = """
      passes:
      - smooth:
          strength: 0.5
      - gptq:
          bits: 4
          overrides: [{&quot;pattern&quot;:&quot;re:.*down_proj&quot;,&quot;bits&quot;:8}]</pre>
      """
    #expect(html.contains(passes))
    #expect(html.contains("<pre>deepseek-optimize run recipe.yaml --model MODEL --output OUTPUT --calibration TEXT</pre>"))
    report.calibration = nil
    #expect(HTMLReport.render(report).contains("recipe.yaml --model MODEL --output OUTPUT</pre>"))
    #expect(!HTMLReport.render(report).contains("text of calibration"))
    // Fine-tuning is no recipe.
    report.recipe = [["pass": "finetune", "rank": 8]]
    let tuned = HTMLReport.render(report)
    #expect(tuned.contains("- finetune:\n    rank: 8</pre>") && !tuned.contains("recipe.yaml"))
    // What no recipe would say stays a value of YAML.
    #expect(RecipeListing([["pass": "a: b\n- c", "no": "x"], 7]).yaml == "passes:\n- \"a: b?- c\":\n    \"no\": \"x\"\n- 7")
  }

  @Test func sectionsWithoutFiguresAreAbsent() {
    let html = HTMLReport.render(CompressionReport(tool: .init(name: "t", version: "1"), model: .init(name: "m")))
    #expect(MarkupCheck(html).problems == [])
    #expect(!html.contains("<h2"))
    #expect(html.contains("Neither size nor accuracy was measured."))
  }

  /// AWQ rescales most layers, which then have no SQNR: what is said of the worst is said of the rest only.
  @Test func layersWithoutAnSQNRAreNotCalledMeasured() {
    var report = Samples.report()
    for index in 2..<28 {
      report.layers?[index].weightSQNRdB = nil
      report.layers?[index].outputSQNRdB = nil
    }
    let html = HTMLReport.render(report)
    #expect(html.contains("2 of 28 layers have an SQNR, in 2 kinds. The lowest is model.layers.0.self_attn.q_proj."))
    #expect(html.contains("The 2 of 28 with an SQNR") && !html.contains("that lost most"))
    #expect(html.contains("26 of 28 layers have no such figure: "))
    #expect(ReportTable(report).text().contains("\nLayers, the 2 of 28 with an SQNR\n"))
    for index in 2..<20 { report.layers?[index].weightSQNRdB = 10 + Double(index) }
    #expect(HTMLReport.render(report).contains("The 5 worst of the 20 of 28 with an SQNR"))
    #expect(ReportTable(report).text().contains("\nLayers, the 5 worst of the 20 of 28 with an SQNR\n"))
    let whole = HTMLReport.render(Samples.report())
    #expect(whole.contains("28 layers in 7 kinds. ") && whole.contains("The 5 that lost most") && !whole.contains("no such figure"))
    #expect(HTMLComparison.render([Samples.report(), report]).contains("an empty place was not quantized, or has no SQNR."))
    // A page with room for some layers only lists the first where none can be called the worst.
    var large = Samples.report(blocks: 400)
    large.layers = large.layers?.map {
      var layer = $0
      (layer.weightSQNRdB, layer.outputSQNRdB) = (nil, nil)
      return layer
    }
    #expect(HTMLReport.render(large).contains("of 2,800 layers") && !HTMLReport.render(large).contains("worst"))
    large.layers?[7].outputSQNRdB = 3
    #expect(HTMLReport.render(large).contains("The 1 of 2,800 layers with an SQNR"))
  }

  /// What is too little for a bar that anybody sees is said instead.
  @Test func smallDivergencesAreABarOrASentence() throws {
    func plot(_ counts: [Int]) throws -> HistogramPlot {
      let histogram = try #require(CompressionReport.Histogram(edges: [0, 0.1, 1, 10], counts: counts))
      return HistogramPlot(title: "t", summary: "s", histogram: histogram, marks: [], axis: "a")
    }
    func hasBar(_ plot: HistogramPlot) -> Bool { plot.figure(id: "x", caption: "").contains("class=\"f2\"") }
    #expect(try plot([0, 1500, 500]).underflow == nil)
    #expect(try plot([1, 1500, 999]).underflow == "0.04 % lie below the axis." && !hasBar(plot([1, 1500, 999])))
    #expect(try plot([50, 40, 10]).underflow?.hasPrefix("The first bar") == true && hasBar(plot([50, 40, 10])))
    // Nothing but zeros is a bar, too; the table has all of it.
    #expect(try hasBar(plot([7, 0, 0])))
    #expect(try plot([1, 1500, 999]).table.rows.count == 3)
  }

  @Test func aThousandLayersStayBelowTheLimit() {
    let report = Samples.report(blocks: 143)
    #expect(report.layers?.count == 1001)
    let html = HTMLReport.render(report)
    #expect(html.utf8.count < 400_000)
    #expect(html.contains("All 1,001 layers"))
    #expect(html.contains("model.layers.142.mlp.down_proj</th>"))
    #expect(MarkupCheck(html).problems == [])
  }

  @Test func hostileReportsStaySmallAndInert() {
    for count in [1, 50, 5000] {
      let html = HTMLReport.render(Samples.hostile(layers: count))
      #expect(html.utf8.count < 400_000, "\(count) layers: \(html.utf8.count)")
      let check = MarkupCheck(html)
      #expect(check.problems == [])
      #expect(check.tags["script"] == nil)
    }
    let html = HTMLComparison.render((0..<20).map { _ in Samples.hostile(layers: 300) })
    #expect(MarkupCheck(html).problems == [])
    #expect(html.utf8.count < 400_000, "\(html.utf8.count)")
  }

  @Test func coloursMeetTheContrastTheyOwe() throws {
    for palette in [Palette.light, .dark] {
      for text in [palette.ink, palette.muted, palette.good, palette.caution, palette.bad] {
        #expect(try contrast(text, palette.page) >= 4.5)
        #expect(try contrast(text, palette.panel) >= 4.5)
      }
      for mark in palette.series {
        #expect(try contrast(mark, palette.page) >= 4.5)
      }
      // Links stand on the page, the skip link on a panel; rings and outlines are marks.
      #expect(try contrast(palette.series[0], palette.panel) >= 4.5)
      #expect(try contrast(palette.neutral, palette.page) >= 3)
      // The strongest shade of the heat map is a mark, and each step can be told from the one before.
      #expect(try contrast(try #require(palette.shades.last), palette.page) >= 3)
      for (one, next) in zip(palette.shades, palette.shades.dropFirst()) { #expect(try contrast(one, next) > 1.15) }
      #expect(palette.shades.count == HeatMap.shades)
    }
  }

  /// WCAG 2.2, contrast ratio.
  private func contrast(_ one: String, _ other: String) throws -> Double {
    let lights = try [one, other].map { colour in
      let value = try #require(Int(colour.dropFirst(), radix: 16))
      let channels = [value >> 16, value >> 8 & 0xFF, value & 0xFF].map { channel in
        let share = Double(channel) / 255
        return share <= 0.04045 ? share / 12.92 : pow24((share + 0.055) / 1.055)
      }
      return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
    }
    return (max(lights[0], lights[1]) + 0.05) / (min(lights[0], lights[1]) + 0.05)
  }

  /// x^2.4 as x² · (x²)^(1/5), the root by Newton's method.
  private func pow24(_ x: Double) -> Double {
    let square = x * x
    guard square > 0 else { return 0 }
    var root = 1.0
    for _ in 0..<60 { root -= (root * root * root * root * root - square) / (5 * root * root * root * root) }
    return square * root
  }
}
