/// A drawing under construction. Colours come from the page's style sheet through classes, so that one drawing serves light
/// and dark. Text is escaped here; coordinates are written with one decimal.
struct SVG {
  enum Anchor: String {
    case start, middle, end
  }

  let width: Double
  var height: Double
  private(set) var content = ""

  init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, class name: String) {
    content += "<path class=\"\(name)\" d=\"M\(Self.number(x1)) \(Self.number(y1))L\(Self.number(x2)) \(Self.number(y2))\"/>"
  }

  mutating func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, radius: Double = 0, class name: String) {
    let corner = radius > 0 ? " rx=\"\(Self.number(radius))\"" : ""
    content += "<rect class=\"\(name)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(max(0, width)))\""
    content += " height=\"\(Self.number(max(0, height)))\"\(corner)/>"
  }

  /// A circle; `tip` shows when the pointer rests on it.
  mutating func circle(_ x: Double, _ y: Double, radius: Double, class name: String, tip: String? = nil) {
    content += "<circle class=\"\(name)\" cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(radius))\""
    content += tip.map { "><title>\(HTML.name($0))</title></circle>" } ?? "/>"
  }

  mutating func text(_ text: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start, class name: String) {
    content += "<text class=\"\(name)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\""
    content += (anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\"") + ">\(HTML.escape(text))</text>"
  }

  mutating func polyline(_ points: [(x: Double, y: Double)], class name: String) {
    guard points.count > 1 else { return }
    let path = points.map { "\(Self.number($0.x)) \(Self.number($0.y))" }.joined(separator: "L")
    content += "<path class=\"\(name)\" d=\"M\(path)\"/>"
  }

  /// Many segments as one element; a segment of no length is a dot when its class has round caps.
  mutating func segments(_ segments: [(x: Double, from: Double, to: Double)], class name: String) {
    guard !segments.isEmpty else { return }
    let path = segments.map { "M\(Self.number($0.x)) \(Self.number($0.from))" + ($0.from == $0.to ? "h0" : "V\(Self.number($0.to))") }
    content += "<path class=\"\(name)\" d=\"\(path.joined())\"/>"
  }

  /// Many rectangles of one colour as one element.
  mutating func cells(_ cells: [(x: Double, y: Double, width: Double, height: Double)], class name: String) {
    guard !cells.isEmpty else { return }
    let path = cells.map {
      "M\(Self.number($0.x)) \(Self.number($0.y))h\(Self.number($0.width))v\(Self.number($0.height))h\(Self.number(-$0.width))z"
    }
    content += "<path class=\"\(name)\" d=\"\(path.joined())\"/>"
  }

  /// The element, with the title and description that a screen reader speaks instead of the picture.
  func element(id: String, class name: String, title: String, description: String) -> String {
    "<svg class=\"\(name)\" viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" role=\"img\""
      + " aria-labelledby=\"\(id)-t \(id)-d\"><title id=\"\(id)-t\">\(HTML.name(title))</title>"
      + "<desc id=\"\(id)-d\">\(HTML.name(description, limit: 400))</desc>\(content)</svg>"
  }

  /// One decimal, none when it is zero.
  static func number(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e6 else { return "0" }
    let tenths = Int((value * 10).rounded())
    let sign = tenths < 0 ? "-" : ""
    let (whole, rest) = abs(tenths).quotientAndRemainder(dividingBy: 10)
    return rest == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(rest)"
  }

  /// About how wide a text is in the page's sans-serif type; on the wide side, so that what is laid out with it fits.
  static func textWidth(_ text: String, size: Double = 12) -> Double { Double(TerminalText.width(text)) * size * 0.6 }

  /// The text cut to fit that width.
  static func fitted(_ text: String, width: Double, size: Double = 12) -> String {
    TerminalText.elided(TerminalText.sanitized(text), to: max(1, Int(width / (size * 0.62))))
  }
}
