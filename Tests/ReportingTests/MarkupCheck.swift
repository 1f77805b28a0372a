/// A small check that a page is well formed: tags balance, identifiers are unique, references to them resolve.
struct MarkupCheck {
  private(set) var problems: [String] = []
  private(set) var identifiers: Set<String> = []
  private(set) var headings: [Int] = []
  private(set) var tags: [String: Int] = [:]

  private static let void: Set<String> = ["meta", "br", "hr", "img", "link", "input"]

  init(_ html: String) {
    var open: [String] = []
    var references: [String] = []
    let body = html.replacing(Self.styleBlock(of: html), with: "")
    for piece in body.split(separator: "<", omittingEmptySubsequences: false).dropFirst() {
      guard let end = piece.firstIndex(of: ">") else {
        problems.append("a bare < before \(piece.prefix(20))")
        continue
      }
      var tag = String(piece[..<end])
      if piece[piece.index(after: end)...].contains(">") { problems.append("a bare > after <\(tag)>") }
      if tag.hasPrefix("!") { continue }
      if tag.hasPrefix("/") {
        let name = String(tag.dropFirst())
        if open.popLast() != name { problems.append("</\(name)> closes nothing") }
        continue
      }
      let isClosed = tag.hasSuffix("/")
      if isClosed { tag.removeLast() }
      let name = String(tag.prefix { $0 != " " })
      tags[name, default: 0] += 1
      if name.count == 2, name.hasPrefix("h"), let level = Int(name.dropFirst()) { headings.append(level) }
      if tag.filter({ $0 == "\"" }).count % 2 == 1 { problems.append("an open quotation mark in <\(tag)>") }
      for (key, value) in Self.attributes(of: tag) {
        if key == "id", !identifiers.insert(value).inserted { problems.append("the id \(value) twice") }
        if key == "aria-labelledby" { references += value.split(separator: " ").map(String.init) }
        if key == "href", value.hasPrefix("#") {
          references.append(String(value.dropFirst()))
        } else if key.hasPrefix("on") || key == "src" || key == "href" {
          problems.append("<\(name) \(key)>")
        }
      }
      if !isClosed, !Self.void.contains(name) { open.append(name) }
    }
    if !open.isEmpty { problems.append("left open: \(open.joined(separator: " "))") }
    for reference in references where !identifiers.contains(reference) { problems.append("no element has the id \(reference)") }
  }

  private static func styleBlock(of html: String) -> String {
    guard let start = html.firstRange(of: "<style>"), let end = html.firstRange(of: "</style>") else { return "\u{1}" }
    return String(html[start.upperBound..<end.lowerBound])
  }

  private static func attributes(of tag: String) -> [(String, String)] {
    tag.matches(of: /([a-zA-Z-]+)="([^"]*)"/).map { (String($0.1), String($0.2)) }
  }
}
