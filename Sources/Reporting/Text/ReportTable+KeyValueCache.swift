extension ReportTable {
  /// What a quantized cache of keys and values saves and costs.
  var keyValueCache: Section? {
    guard let cache = report.keyValueCache else { return nil }
    var section = Section(title: "Key/value cache")
    var table = TextTable([.left, .right, .right, .right, .left])
    table.header("", "float32", .init(TerminalText.elided(cache.type, to: 12)), "change", "95 % interval")
    if cache.bytesPerToken != nil || cache.referenceBytesPerToken != nil {
      table.row(
        "bytes per token", .init(bytes(cache.referenceBytesPerToken)), .init(bytes(cache.bytesPerToken)),
        .init(cache.sizeRatio.map { NumberText.fixed($0, 2) + "×" } ?? ""), "")
    }
    if let change = cache.perplexityChange { table.row("perplexity", "", "", .init(change.value), .init(change.interval)) }
    if let agreement = cache.topTokenAgreement { table.row("same top token", "", .init(NumberText.percent(agreement)), "", "") }
    section.add(table)
    if let kl = cache.klDivergence {
      var table = TextTable([.left] + Array(repeating: .right, count: 6))
      table.header("", "mean", "median", "95 %", "99 %", "99.9 %", "max")
      let figures = [kl.mean, kl.median, kl.p95, kl.p99, kl.p999, kl.max]
      table.row([.init("KL, nats/token")] + figures.map { .init($0.map(NumberText.nats) ?? NumberText.absent) })
      section.add(table)
    }
    return section
  }

  private func bytes(_ count: Int?) -> String { count.map { NumberText.grouped($0) } ?? NumberText.absent }
}
