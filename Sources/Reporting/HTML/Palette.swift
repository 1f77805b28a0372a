/// The colours of the pages, one set for light and one for dark. Text meets WCAG AA (4.5:1) on the page and on panels, marks
/// meet 3:1; a test computes both.
struct Palette {
  var page: String
  var panel: String
  var ink: String
  var muted: String
  var rule: String
  var good: String
  var caution: String
  var bad: String
  /// The neutral colour, for the reference.
  var neutral: String
  /// Colours of the series from 1; they differ in lightness as well as in hue.
  var series: [String]
  /// From little lost to much.
  var shades: [String]

  static let light = Palette(
    page: "#ffffff", panel: "#f5f6f7", ink: "#1a1f24", muted: "#57606a", rule: "#d9dee3", good: "#1a6b3a", caution: "#855300",
    bad: "#b3261e", neutral: "#808a94", series: ["#1f5f99", "#bd4f0b", "#2c7a4b", "#7a4aa5", "#7d6200", "#b0326b"],
    shades: ["#f7ebe0", "#f1d3ba", "#e8b48b", "#da925c", "#c06f33", "#974c17", "#662e08"])

  static let dark = Palette(
    page: "#14171a", panel: "#1e2226", ink: "#e6e9ec", muted: "#a3adb7", rule: "#363d44", good: "#7fcf9a", caution: "#e5b567",
    bad: "#ff9a90", neutral: "#7d8790", series: ["#74b3ec", "#f59a5c", "#7fcb98", "#c19cec", "#d9bd55", "#f08fb8"],
    shades: ["#2a2420", "#42301f", "#63411f", "#8a5826", "#b57637", "#dc9c5e", "#ffcf9f"])

  var variables: String {
    var text = "--page:\(page);--panel:\(panel);--ink:\(ink);--muted:\(muted);--rule:\(rule);--good:\(good);"
    text += "--caution:\(caution);--bad:\(bad);--s0:\(neutral);"
    for (index, colour) in series.enumerated() { text += "--s\(index + 1):\(colour);" }
    for (index, colour) in shades.enumerated() { text += "--c\(index):\(colour);" }
    return text
  }
}
