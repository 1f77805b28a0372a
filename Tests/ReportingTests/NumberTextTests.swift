import Testing

@testable import Reporting

@Suite struct NumberTextTests {
  /// A limit of one percent is not called 0.01, and what misses it by little does not read as the limit.
  @Test func gatesHaveTheUnitsOfTheirLimits() {
    func figures(_ name: String, _ limit: Double?, _ value: Double?) -> [String?] {
      let figures = CompressionReport.Gate(name: name, limit: limit, value: value, passed: false).figures
      return [figures.limit, figures.value]
    }
    #expect(figures("perplexity increase", 0.01, 0.25189670546609677) == ["1 %", "25.2 %"])
    #expect(figures("perplexity increase", 0.0025, -0.00031) == ["0.25 %", "-0.031 %"])
    #expect(figures("perplexity increase", 0.01, 0.010004) == ["1 %", "1.0004 %"])
    #expect(figures("mean KL divergence", 0.01, 0.0311234) == ["0.01", "0.0311"])
    #expect(figures("mean KL divergence", 0.01, 0.01) == ["0.01", "0.01"])
    #expect(figures("mean KL divergence", nil, nil) == [nil, nil])
  }

  @Test(
    arguments: [
      (36.066, 2, "36.07"), (-0.004, 2, "0.00"), (-0.006, 2, "-0.01"), (1234567.5, 1, "1,234,567.5"), (0.5, 0, "1"),
      (999.999, 2, "1,000.00"),
      (1e17, 2, "1.00e+17"), (.nan, 2, "–"), (-.infinity, 1, "–"),
    ] as [(Double, Int, String)])
  func fixed(_ value: Double, _ decimals: Int, _ text: String) { #expect(NumberText.fixed(value, decimals) == text) }

  @Test(
    arguments: [
      (0.0321, 3, "0.0321"), (3.12e-5, 3, "0.0000312"), (9.999e-6, 3, "0.0000100"), (9.99e-6, 2, "0.000010"), (1230.4, 3, "1,230"),
      (9999.6, 4, "10,000"), (3.1e-8, 2, "3.1e-08"), (0, 3, "0"), (.leastNonzeroMagnitude, 3, "4.94e-324"),
      (1.7976931348623157e308, 3, "1.80e+308"),
      (-2.5, 2, "-2.5"), (12_345_678, 3, "1.23e+07"),
    ] as [(Double, Int, String)])
  func significant(_ value: Double, _ digits: Int, _ text: String) { #expect(NumberText.significant(value, digits) == text) }

  @Test func unitsAreDecimalOnDiskAndBinaryInMemory() {
    #expect(NumberText.bytes(13_644_312) == "13.6 MB")
    #expect(NumberText.bytes(999) == "999 B")
    #expect(NumberText.bytes(999_999) == "1.00 MB")
    #expect(NumberText.bytes(.max) == "9.22 EB")
    #expect(NumberText.memory(1_288_490_189) == "1.20 GiB")
    #expect(NumberText.parameters(6_815_744) == "6.82 M")
    #expect(NumberText.duration(0.0123) == "12.3 ms")
    #expect(NumberText.duration(125) == "2 min 5 s")
    #expect(NumberText.duration(3840) == "1 h 4 min")
    #expect(NumberText.duration(-1) == "–")
    let estimates = [-1, 0.04, 9.94, 9.96, 59.4, 59.6, 61, 3700, 90_000, 200_000, .infinity].map(NumberText.estimate)
    #expect(estimates == ["0.0 s", "0.0 s", "9.9 s", "10 s", "59 s", "1 min 0 s", "1 min 1 s", "1 h 1 min", "25 h 0 min", "2 d 7 h", "–"])
    #expect(NumberText.grouped(Int.min) == "-9,223,372,036,854,775,808")
  }

  @Test func percentagesShowSmallChangesAndNeverRoundUpToAll() {
    #expect(NumberText.percentChange(0.0002) == "+0.02 %")
    #expect(NumberText.percentChange(0.00003) == "+0.003 %")
    #expect(NumberText.percentChange(-0.031) == "-3.1 %")
    #expect(NumberText.percentChange(0) == "0.00 %")
    #expect(NumberText.percentChange(1e-9) == "0.000 %")
    #expect(NumberText.percent(0.99999) == "99.99 %")
    #expect(NumberText.percent(1) == "100.00 %")
    #expect(NumberText.percent(0.9725) == "97.25 %")
  }

  @Test func figuresAreSetAsInPrint() {
    #expect(HTML.typographic("-3.1 % to +4 %") == "−3.1\u{A0}% to +4\u{A0}%")
    #expect(HTML.typographic("3.1e-08 nats") == "3.1\u{A0}×\u{A0}10⁻⁸\u{A0}nats")
    #expect(HTML.typographic("gptq 4-bit") == "gptq 4-bit")
    #expect(NumberText.trimmed(0.01, 4) == "0.01")
    #expect(NumberText.trimmed(1200, 2) == "1,200")
  }
}
