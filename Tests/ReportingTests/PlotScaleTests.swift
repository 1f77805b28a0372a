import Testing

@testable import Reporting

@Suite struct PlotScaleTests {
  @Test(
    arguments: [
      ([0, 10], 5, ["0", "2", "4", "6", "8", "10"]), ([0, 1], 5, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
      ([35.2, 38.4], 4, ["36", "37", "38"]), ([-0.03, 0.04], 4, ["-0.02", "0.00", "0.02", "0.04"]),
      ([0, 14_000], 4, ["0", "5,000", "10,000"]),
    ] as [([Double], Int, [String])])
  func linearTicksAreRound(_ values: [Double], _ count: Int, _ labels: [String]) {
    #expect(PlotScale(.linear, covering: values).ticks(count).map(\.label) == labels)
  }

  @Test(
    arguments: [
      ([1e-7, 1], 4, ["10⁻⁶", "10⁻⁴", "0.01", "1"]), ([1e-3, 1], 5, ["10⁻³", "0.01", "0.1", "1"]), ([4, 30], 5, ["5", "10", "20"]),
      ([0.15, 1.2], 5, ["0.2", "0.5", "1"]), ([6.1, 8.9], 4, ["6.5", "7.0", "7.5", "8.0", "8.5"]),
    ] as [([Double], Int, [String])])
  func logarithmicTicksAreDecadesWhenThereAreEnough(_ values: [Double], _ count: Int, _ labels: [String]) {
    #expect(PlotScale(.logarithmic, covering: values).ticks(count).map(\.label) == labels)
  }

  @Test func roundingMovesTheEndsOutward() {
    #expect(PlotScale(.linear, covering: [0.1, 0.3]).rounded(ticks: 2).domain == 0.1...0.30000000000000004)
    #expect(PlotScale(.linear, covering: [35.27, 38.35]).rounded(ticks: 8).domain == 35...38.5)
    #expect(PlotScale(.logarithmic, covering: [0.0004, 0.7]).rounded().domain.lowerBound == 1e-4)
    #expect(PlotScale(.logarithmic, covering: [3, 70]).rounded().domain == 2...100)
  }

  @Test func positionsRunFromStartToEnd() {
    let linear = PlotScale(.linear, covering: [0, 10], start: 100, end: 200)
    #expect(linear.position(5) == 150)
    #expect(linear.position(-3) == 100)
    #expect(linear.position(.infinity) == 200)
    #expect(linear.position(.nan) == 100)
    let log = PlotScale(.logarithmic, covering: [1, 100], start: 0, end: 2)
    #expect(abs(log.position(10) - 1) < 1e-12)
    #expect(log.position(0) == 0)
  }

  @Test(
    arguments: [
      [], [5], [0, 0], [.nan, .infinity], [1e308, -1e308], [.leastNonzeroMagnitude, 2 * .leastNonzeroMagnitude], [-7, -7],
      [1e299, 1e-299], [3, 3.0000000001], [1e15, 1e15 + 2],
    ] as [[Double]])
  func degenerateValuesGiveAUsableScale(_ values: [Double]) {
    for kind in [PlotScale.Kind.linear, .logarithmic] {
      for scale in [PlotScale(kind, covering: values), PlotScale(kind, covering: values).rounded()] {
        #expect(scale.domain.lowerBound < scale.domain.upperBound)
        #expect(scale.domain.upperBound.isFinite)
        let ticks = scale.ticks(5)
        #expect(ticks.count <= 20)
        #expect(zip(ticks, ticks.dropFirst()).allSatisfy { $0.value < $1.value })
        #expect((values + [1]).allSatisfy { (0...1).contains(scale.position($0)) })
      }
    }
  }

  /// Blocks are counted: four of them have no ticks between.
  @Test func blocksHaveWholeNumbers() {
    let cells = (0..<4).map { (column: Double($0), value: Double($0) * 5) }
    let map = HeatMap(
      title: "", summary: "", panels: [.init(name: "q_proj", rows: [cells, cells])], rowNames: ["1", "2"], xAxis: "block", unit: "dB")
    for width in PlotWidth.allCases {
      let labels = map.draw(width: width).content.matches(of: /class="tk"[^>]*>([^<]*)</).map { String($0.1) }
      #expect(labels == ["1", "2", "0", "1", "2", "3"], "\(labels)")
    }
  }

  /// Points that lie on each other keep their numbers.
  @Test func closePointsAreTold() {
    let points = [(1, 10.0), (2, 10.1), (3, 20)].map { number, x in
      ParetoPlot.Point(number: number, name: "a report", x: x, y: 0.1, series: number, isBeaten: number > 1)
    }
    let plot = ParetoPlot(title: "", summary: "", points: points, xAxis: "", yAxis: "", xFormat: { $0.label })
    let content = plot.draw(width: .narrow).content
    for number in 1...3 { #expect(content.contains(">\(number)</text>"), "\(number)") }
    #expect(content.contains("class=\"f1\"") && content.contains("class=\"r2\""))
    #expect(plot.draw(width: .wide).content.contains(">3 a report</text>"))
  }

  @Test func coordinatesAreShort() {
    #expect(SVG.number(12.04) == "12")
    #expect(SVG.number(-0.04) == "0")
    #expect(SVG.number(-3.25) == "-3.3")
    #expect(SVG.number(.nan) == "0")
  }
}
