/// Shares of tokens over a logarithmic axis, with the quantiles marked.
struct HistogramPlot: Plot {
  struct Mark {
    var name: String
    var value: Double
  }

  var title: String
  var summary: String
  var histogram: CompressionReport.Histogram
  var marks: [Mark]
  var axis: String

  func draw(width: PlotWidth) -> SVG {
    let shownMarks = marks.filter { $0.value > 0 && $0.value.isFinite }
    let head = Double(shownMarks.count) * 16 + 8
    var svg = SVG(width: width.rawValue, height: head + (width == .wide ? 220 : 170) + 40)
    let bins = drawnBins
    guard let first = bins.first, let last = bins.last else { return svg }
    let total = max(1, histogram.total)
    let x = PlotScale(.logarithmic, covering: [first.low, last.high] + shownMarks.map(\.value))
    let heights = bins.map { $0.count / total * 100 }
    let y = PlotScale(.linear, covering: [0] + heights).rounded(ticks: 4)
    let frame = PlotFrame(left: 40, top: head, right: svg.width - 8, bottom: svg.height - 40, x: x, y: y)
    frame.drawYAxis(in: &svg, ticks: 4) { $0.label + " %" }
    for (bin, height) in zip(bins, heights) where height > 0 {
      let (left, right) = (frame.x.position(bin.low), frame.x.position(bin.high))
      let top = frame.y.position(height)
      svg.rectangle(left + 0.5, top, right - left - 1, frame.bottom - top, class: bin.isUnderflow ? "f2" : "f1")
    }
    frame.drawXAxis(in: &svg, ticks: width == .wide ? 10 : 5, title: axis)
    draw(shownMarks, in: &svg, frame: frame)
    return svg
  }

  /// Each label has its own line above the plot, so that close quantiles do not collide.
  private func draw(_ marks: [Mark], in svg: inout SVG, frame: PlotFrame) {
    let labels = marks.sorted { $0.value < $1.value }.map { mark in
      (position: frame.x.position(mark.value), text: HTML.typographic("\(mark.name) \(NumberText.significant(mark.value, 2))"))
    }
    // Labels to the right of their lines step down from left to right, those to the left the other way: no line crosses one.
    let toRight = labels.allSatisfy { $0.position + 6 + SVG.textWidth($0.text) < svg.width }
    for (index, label) in (toRight ? labels : labels.reversed()).enumerated() {
      let baseline = Double(index) * 16 + 12
      svg.line(label.position, baseline - 8, label.position, frame.bottom, class: "mk")
      svg.text(label.text, label.position + (toRight ? 5 : -5), baseline, toRight ? .start : .end, class: "vl h")
    }
  }

  private struct Bin {
    var low: Double
    var high: Double
    var count: Double
    var isUnderflow: Bool
  }

  /// What the bars show.
  var table: HTMLTable {
    var table = HTMLTable("Predictions by KL divergence", first: "from, nats", ["below", "share", "share at or above"])
    let total = max(1, histogram.total)
    let bins = visibleBins
    var above = bins.reduce(0) { $0 + $1.count }
    for bin in bins {
      let shares = [bin.count, above].map { NumberText.percent($0 / total, 2) }
      table.row(bin.isUnderflow ? "0" : NumberText.significant(bin.low, 2), [NumberText.significant(bin.high, 2)] + shares)
      above -= bin.count
    }
    return table
  }

  /// What is below the first bar that has a place of its own, in words; nil when that is nothing.
  var underflow: String? {
    guard let first = visibleBins.first, first.isUnderflow, histogram.total > 0 else { return nil }
    if drawnBins.first?.isUnderflow == true { return "The first bar, in the second colour, holds everything smaller." }
    return "\(NumberText.trimmed(first.count / histogram.total * 100, 2)) % lie below the axis."
  }

  /// The bars: everything smaller has one where it can be seen, which less than a thousandth cannot.
  private var drawnBins: ArraySlice<Bin> {
    let bins = visibleBins
    guard let first = bins.first, first.isUnderflow, first.count * 1000 <= histogram.total else { return bins[...] }
    return bins.dropFirst()
  }

  /// The bins from the first to the last that holds anything. Zero has no place on the axis, and a few tiny values would push
  /// the rest together: the lowest bins that hold less than a thousandth in all become one, as does the bin from zero.
  private var visibleBins: [Bin] {
    let counts = histogram.counts
    guard let first = counts.firstIndex(where: { $0 > 0 }), let last = counts.lastIndex(where: { $0 > 0 }) else { return [] }
    let allowance = histogram.total / 1000
    var start = first
    var below = 0.0
    while start < last, histogram.edges[start] <= 0 || below + Double(counts[start]) <= allowance {
      below += Double(counts[start])
      start += 1
    }
    var bins = (start...last).map {
      Bin(low: histogram.edges[$0], high: histogram.edges[$0 + 1], count: Double(counts[$0]), isUnderflow: false)
    }
    let (low, high) = (histogram.edges[start], histogram.edges[start + 1])
    if low <= 0 { return [Bin(low: high / 2, high: high, count: Double(counts[start]), isUnderflow: true)] }
    if below > 0 { bins.insert(Bin(low: low * low / high, high: low, count: below, isUnderflow: true), at: 0) }
    return bins
  }
}
