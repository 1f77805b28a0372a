extension CompressionReport.Gate {
  /// The limit and what was measured, as they are typed and read: `1 %` and `25.2 %` where a share is limited, else plain figures. Nil for
  /// what the report does not have.
  package var figures: (limit: String?, value: String?) {
    let isShare = name == "perplexity increase"
    func text(_ value: Double, _ digits: Int) -> String {
      isShare ? NumberText.trimmed(value * 100, digits) + " %" : NumberText.trimmed(value, digits)
    }
    let limitText = limit.map { text($0, 6) }
    guard let value else { return (limitText, nil) }
    // 0.010004 must not read as the limit of 0.01 that it misses.
    let digits = (3...12).first { value == limit || text(value, $0) != limitText } ?? 12
    return (limitText, text(value, digits))
  }
}
