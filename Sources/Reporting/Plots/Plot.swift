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
  /// Both drawings in a figure with its caption (already escaped).
  func figure(id: String, caption: String) -> String {
    let drawings = PlotWidth.allCases.map { width in
      draw(width: width).element(id: "\(id)-\(width.cssClass)", class: width.cssClass, title: title, description: summary)
    }
    return "<figure>\(drawings.joined())<figcaption>\(caption)</figcaption></figure>\n"
  }
}
