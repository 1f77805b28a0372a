/// A whole document: one file that needs nothing else. The policy in its head forbids it to fetch or run anything, whatever a
/// hostile name might try.
struct HTMLPage {
  var title: String
  var header: String
  var body: String
  var footer: String

  var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
    <title>\(HTML.name(title))</title>
    <style>
    \(StyleSheet.text)
    </style>
    </head>
    <body>
    <a class="skip" href="#content">Skip to the content</a>
    <header>
    \(header)\(contents)</header>
    <main id="content" tabindex="-1">
    \(body)</main>
    <footer>
    \(footer)</footer>
    </body>
    </html>

    """
  }

  /// Links to the sections, where there are enough to lose one's way. Titles and identifiers are our own or escaped.
  private var contents: String {
    let links = body.split(separator: "<section aria-labelledby=\"", omittingEmptySubsequences: false).dropFirst().compactMap {
      section -> String? in
      guard let start = section.firstRange(of: "<h2 id=\"")?.upperBound, let end = section.firstRange(of: "</h2>")?.lowerBound,
        start < end, let quote = section[start..<end].firstRange(of: "\">")
      else { return nil }
      return "<li><a href=\"#\(section[start..<quote.lowerBound])\">\(section[quote.upperBound..<end])</a></li>"
    }
    guard links.count > 3 else { return "" }
    return "<nav aria-label=\"Sections\"><ul>\n\(links.joined(separator: "\n"))\n</ul></nav>\n"
  }
}
