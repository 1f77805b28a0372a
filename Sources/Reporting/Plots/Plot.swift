/// A picture that can be drawn at any width, with words for those who cannot see it.
protocol Plot {
  var title: String { get }
  /// What the picture shows, figures included.
  var summary: String { get }
  func draw(width: PlotWidth) -> SVG
}

/// Every plot is drawn twice and the style sheet shows the one that fits: shrinking one drawing to a phone would shrink its
/// type beyond reading.
enum PlotWidth: Double, CaseIterable {
  case wide = 760
  case narrow = 340

  var cssClass: String { self == .wide ? "wide" : "narrow" }
}

extension Plot {
  /// Both drawings in a figure with its caption (already escaped), and the figures behind them as a folded table unless one stands
  /// beside them anyway.
  func figure(id: String, caption: String, table: HTMLTable? = nil) -> String {
    let drawings = PlotWidth.allCases.map { width in
      draw(width: width).element(id: "\(id)-\(width.cssClass)", class: width.cssClass, title: title, description: summary)
    }
    let figures = table.flatMap { $0.rows.isEmpty ? nil : HTML.details("As a table: \($0.caption)", $0.html) } ?? ""
    return "<figure>\(drawings.joined())<figcaption>\(caption)</figcaption></figure>\n" + figures
  }
}
