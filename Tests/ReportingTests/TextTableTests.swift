import StructuredData
import Testing

@testable import Reporting

@Suite struct TextTableTests {
  @Test func figuresEndInTheSameColumn() {
    var table = TextTable([.left, .right, .left])
    table.row("a", "1.0", "x")
    table.row("longer", "100.25", "")
    #expect(table.lines(style: .plain) == ["  a          1.0  x", "  longer  100.25"])
  }

  @Test func reportFitsTheWidthAndHasEverySection() {
    let lines = ReportTable(Samples.report()).text().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines.allSatisfy { TerminalText.width($0) <= 100 })
    #expect(lines.allSatisfy { $0.last != " " })
    for title in ["Size", "Accuracy", "Key/value cache", "Speed", "Layers, the 5 worst of 28", "Gates", "Run", "Warnings"] {
      #expect(lines.contains(title), "\(title)")
    }
    #expect(lines.contains("  checkpoint       13.6 MB  7.21 MB  0.53×"))
    #expect(lines.contains { $0.contains("+0.02 %  -0.01 % to +0.05 %") })
    #expect(lines.contains { $0.hasSuffix("MISSED") } && lines.contains { $0.hasSuffix("  1 %    0.02 %  passed") })
    #expect(lines.contains { $0.contains("bytes per token") && $0.contains("1,632") && $0.contains("0.27×") })
    #expect(lines.filter { $0.contains("KL, nats/token") }.count == 2)
    // The best trial is the one that was kept.
    #expect(lines.contains { $0.contains("256 windows, 65,536 tokens of train.txt (tiers); 3 equal and 2 nearly equal ones dropped") })
    #expect(
      lines.contains { $0.contains("yaqa") && $0.hasSuffix("kept") } && !lines.contains { $0.contains("gptq  ") && $0.hasSuffix("kept") })
    #expect(lines.contains { $0.contains("int8 static") && $0.contains("+0.21 %") && $0.contains("97.10 %") })
    #expect(lines.contains("Bits chosen for --max-kl 0.01") && lines.contains { $0.contains("0.00940 measured") })
    // Columns of the size table end together.
    let size = lines.filter { $0.hasSuffix("×") && $0.contains("B  ") }
    #expect(size.count == 2)
    #expect(Set(size.map { TerminalText.width($0) }).count == 1)
  }

  /// A narrow terminal gets fewer figures, never a wrapped row.
  @Test(arguments: [40, 80, 99, 100, 300]) func nothingIsWiderThanTheTerminal(_ width: Int) {
    var other = Samples.report()
    other.recipe = [["pass": "rtn", "bits": 8, "activations": "int8"]]
    other.accuracy?.windows?.klDivergence = (0..<72).map { 2e-5 + Double($0 % 5) * 1.1e-7 }
    let reports = [Samples.report(), other, Samples.hostile(layers: 3)]
    for text in [
      ReportTable(reports[0]).text(width: width), ReportTable(reports[2]).text(width: width),
      ComparisonTable(reports).text(width: width),
      ComparisonTable(reports, labels: ["a", "llama-with-a-long-name-int8-dynamic", "c"]).text(width: width),
    ] {
      for line in text.split(separator: "\n") { #expect(TerminalText.width(String(line)) <= min(width, 100), "\(line)") }
    }
    let names = ["demo-int8", "llama-with-a-long-name-int8-dynamic"]
    let table = ComparisonTable([Samples.report(), other], labels: names).text(width: width)
    #expect(table.contains("No room for ratio") == (width < 99), "\(table)")
    // Names give way where they must, figures do not; a layer's has the number of its block in the middle.
    let layers = ReportTable(reports[0]).text(width: width).split(separator: "\n").filter { $0.contains("_proj") }
    if width >= 80 { #expect(layers.allSatisfy { !$0.contains("…") }, "\(layers)") }
    let short = ComparisonTable([Samples.report(), other], labels: ["demo-int8", "demo-distilled"]).text(width: width)
    if width >= 80 { #expect(!short.contains("…"), "\(short)") }
    if width >= 80 { #expect(table.contains("demo-int8") && table.contains("99.86 %")) }
  }

  @Test func onlyAskedForColourHasEscapes() {
    let report = Samples.report()
    #expect(!ReportTable(report).text(style: .plain).contains("\u{1B}"))
    let coloured = ReportTable(report).text(style: .ansi)
    #expect(coloured.contains("\u{1B}[31mMISSED\u{1B}[0m"))
    let stripped = coloured.replacing(/\u{1B}\[[0-9]+m/, with: "")
    #expect(stripped == ReportTable(report).text(style: .plain))
  }

  @Test func hostileNamesStayInTheirCells() {
    let text = ReportTable(Samples.hostile(layers: 30)).text()
    #expect(text.unicodeScalars.allSatisfy { !TerminalText.isUnsafe($0) || $0 == "\n" })
    #expect(text.split(separator: "\n").allSatisfy { TerminalText.width(String($0)) <= 100 })
    #expect(text.utf8.count < 60_000)
    let comparison = ComparisonTable([Samples.hostile(layers: 3), Samples.report()]).text()
    #expect(comparison.split(separator: "\n").allSatisfy { TerminalText.width(String($0)) <= 100 })
  }

  @Test func wideAndCombiningLettersAreMeasured() {
    #expect(TerminalText.width("模型") == 4)
    #expect(TerminalText.width("e\u{301}") == 1)
    #expect(TerminalText.elided("模型模型模型", to: 7) == "模…型")
    #expect(TerminalText.elided("model.layers.12.q_proj", to: 11) == "model…_proj")
    #expect(TerminalText.elided("abc", to: 0) == "")
    #expect(TerminalText.wrapped("aa bb cc", to: 5) == ["aa bb", "cc"])
    #expect(TerminalText.wrapped("abcdefgh ij", to: 5) == ["abcde", "fgh", "ij"])
    #expect(TerminalText.wrapped("a b c d", to: 1, lines: 2).count == 2)
    #expect(TerminalText.wrapped("", to: 5) == [""])
  }

  @Test func comparisonHasARowForEachReport() {
    var other = Samples.report()
    other.recipe = [["pass": "rtn", "bits": 8]]
    let text = ComparisonTable([Samples.report(), other, other]).text().split(separator: "\n").map(String.init)
    let lines = Array(text.prefix(4))
    #expect(text.contains { $0.contains("against 1") && $0.contains("  measure  ") && $0.hasSuffix("  verdict") })
    #expect(text.contains { $0.hasSuffix("identical") })
    #expect(lines[1].contains("gptq 4-bit g128"))
    #expect(lines[2].contains("rtn 8-bit"))
    #expect(lines[3].contains("rtn 8-bit (2)"))
    #expect(Set(lines.map { TerminalText.width($0) }).count == 1)
    other.accuracy?.tokens = 1
    #expect(ComparisonTable([Samples.report(), other]).text().contains("not comparable"))
    #expect(ComparisonTable([Samples.report(), other], labels: ["one", "two"]).text().contains(" two "))
    #expect(ComparisonTable([]).text().contains("report"))
  }
}
