import Testing

@testable import Reporting

@Suite struct ExportTests {
  /// The fields of RFC 4180 text, by a reader that knows nothing of the writer.
  private func parsed(_ text: String) -> [[String]] {
    var rows: [[String]] = []
    var (row, field, isQuoted) = ([String](), String.UnicodeScalarView(), false)
    var scalars = Array(text.unicodeScalars)[...]
    while let scalar = scalars.popFirst() {
      if isQuoted {
        guard scalar == "\"" else {
          field.append(scalar)
          continue
        }
        if scalars.first == "\"" { field.append(scalars.removeFirst()) } else { isQuoted = false }
      } else if scalar == "\"" {
        isQuoted = true
      } else if scalar == "," || scalar == "\r" {
        row.append(String(field))
        field = .init()
        if scalar == "\r", scalars.popFirst() == "\n" {
          rows.append(row)
          row = []
        }
      } else {
        field.append(scalar)
      }
    }
    #expect(row.isEmpty && field.isEmpty && !isQuoted)
    return rows
  }

  @Test func fieldsAreQuotedAsTheStandardSays() {
    #expect(CSV.escaped("plain text") == "plain text")
    #expect(CSV.escaped("a,b") == "\"a,b\"")
    #expect(CSV.escaped("say \"no\"") == "\"say \"\"no\"\"\"")
    #expect(CSV.escaped("two\nlines") == "\"two\nlines\"")
    // A quotation mark with an accent on it is still one.
    #expect(CSV.escaped("\"\u{301}") == "\"\"\"\u{301}\"")
    #expect(CSV.escaped("a\r\u{0}\u{202E}b") == "a\u{FFFD}\u{FFFD}\u{FFFD}b")
    // What a spreadsheet would compute.
    for start in ["=", "+", "-", "@"] { #expect(CSV.escaped(start + "1") == "'" + start + "1") }
    #expect(CSV.escaped("").isEmpty)
  }

  @Test func figuresReadBackAsTheyWere() throws {
    let report = Samples.report()
    let text = ComparisonCSV([report, report], labels: ["a, b", "\"c\""]).text
    #expect(text.hasSuffix("\r\n") && !text.replacing("\r\n", with: "").contains("\n"))
    let rows = parsed(text)
    #expect(rows.count == 3 && Set(rows.map(\.count)).count == 1)
    #expect(rows[1][0] == "a, b" && rows[2][0] == "\"c\"")
    func field(_ name: String) throws -> String { rows[1][try #require(rows[0].firstIndex(of: name))] }
    #expect(Double(try field("accuracy.klDivergence.mean")) == 3.12e-5)
    #expect(try field("size.outputBytes") == "7214336")
    #expect(try field("accuracy.tokens") == "36863")
    #expect(try field("accuracy.perplexityRatioInterval.lower") == "0.9999")
    #expect(try field("gates.missed") == "1")
    #expect(try field("recipe") == "gptq 4-bit g128")
    // Not measured.
    #expect(try field("size.sparsity").isEmpty && (try field("accuracy.compute")).isEmpty)
  }

  @Test func whatWasNotMeasuredIsEmpty() {
    let rows = parsed(ComparisonCSV([CompressionReport(tool: .init(name: "t", version: "1"), model: .init(name: "m"))], labels: ["x"]).text)
    #expect(rows[1].filter { !$0.isEmpty } == ["x", "t", "1", "m"])
    #expect(rows[1].count == rows[0].count)
  }

  @Test func everyLayerOfEveryReportHasARow() {
    let rows = parsed(ComparisonCSV([Samples.report(), Samples.report(blocks: 2)], labels: ["one", "two"]).layers)
    #expect(rows.count == 1 + 28 + 14)
    #expect(rows[0].prefix(4) == ["report", "name", "block", "kind"])
    #expect(rows[1].prefix(8) == ["one", "model.layers.0.self_attn.q_proj", "0", "q_proj", "4", "128", "int4", "20"])
    #expect(rows[14][12] == "diagonal Hessian")
    #expect(rows[29][0] == "two")
  }

  @Test func hostileReportsKeepToTheirFields() {
    let text = ComparisonCSV([Samples.hostile(layers: 20), Samples.report()]).text
    let layers = ComparisonCSV([Samples.hostile(layers: 20)]).layers
    for text in [text, layers] {
      let rows = parsed(text)
      #expect(Set(rows.map(\.count)).count == 1)
      #expect(text.unicodeScalars.allSatisfy { !TerminalText.isUnsafe($0) || $0 == "\r" || $0 == "\n" })
      #expect(!text.contains("nan") && !text.contains("inf,"))
    }
  }

  @Test func markdownTablesHoldTogether() {
    var other = Samples.report()
    other.accuracy?.windows?.klDivergence = (0..<72).map { 2e-5 + Double($0 % 5) * 1.1e-7 }
    var apart = other
    apart.accuracy?.context = 1024
    let text = ComparisonMarkdown([Samples.report(), other, apart], labels: ["a|b", "*c*", "d"]).text
    #expect(text.contains("| 1. a&#124;b | 7.21 MB | 0.53× | 8.47 |"))
    #expect(text.contains("| 2. \\*c\\* | mean KL | -9.98e-06 |") && text.contains("| better |"))
    #expect(text.contains("> † Report 3 is left out"))
    // Words to the left, figures to the right.
    #expect(text.contains("| p | verdict |\n| --- | --- | ---: | ---: | ---: | --- |\n"))
    // As many bars in a row as in its table's head.
    var bars = 0
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let count = line.count { $0 == "|" }
      if line.isEmpty { bars = 0 } else if bars == 0 { bars = count } else { #expect(count == bars, "\(line)") }
    }
    #expect(text.hasSuffix("\n"))
    #expect(ComparisonMarkdown([Samples.hostile(layers: 3), Samples.report()]).text.utf8.count < 20_000)
  }
}
