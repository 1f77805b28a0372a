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
    for part in ["http:", "https:", "url(", "@import", "<link", "<img"] { #expect(!html.contains(part), "\(part)") }
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

  @Test func sectionsWithoutFiguresAreAbsent() {
    let html = HTMLReport.render(CompressionReport(tool: .init(name: "t", version: "1"), model: .init(name: "m")))
    #expect(MarkupCheck(html).problems == [])
    #expect(!html.contains("<h2"))
    #expect(html.contains("Neither size nor accuracy was measured."))
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
        // Numbers are set in the page colour on marks of these.
        #expect(try contrast(mark, palette.page) >= 4.5)
      }
      #expect(try contrast(palette.neutral, palette.page) >= 3)
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
