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
    <header>
    \(header)</header>
    <main>
    \(body)</main>
    <footer>
    \(footer)</footer>
    </body>
    </html>

    """
  }
}
