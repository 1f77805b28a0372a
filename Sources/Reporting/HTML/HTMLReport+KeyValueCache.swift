extension ReportPage {
  var keyValueCache: String {
    guard let cache = report.keyValueCache else { return "" }
    var body = HTML.paragraph(
      "The same model and text, with keys and values kept as \(TerminalText.elided(cache.type, to: 40)) instead of float32.")
    var table = HTMLTable("What the cache saves and costs", first: "", ["float32", "quantized", "change", "95 % interval"])
    if cache.bytesPerToken != nil || cache.referenceBytesPerToken != nil {
      let figures = [cache.referenceBytesPerToken, cache.bytesPerToken].map { $0.map { NumberText.grouped($0) } ?? NumberText.absent }
      table.row("Bytes per token", figures + [cache.sizeRatio.map { NumberText.fixed($0, 2) + "×" } ?? "", ""])
    }
    if let change = cache.perplexityChange { table.row("Perplexity", ["", "", change.value, change.interval]) }
    if let agreement = cache.topTokenAgreement { table.row("Same top token", ["", NumberText.percent(agreement), "", ""]) }
    if !table.rows.isEmpty { body += table.html }
    if let kl = cache.klDivergence {
      var table = HTMLTable(
        "KL(float32 cache ‖ quantized cache), nats per token", first: "",
        ["mean", "std. error", "median", "95 %", "99 %", "99.9 %", "max"])
      let figures = [kl.mean, kl.standardError, kl.median, kl.p95, kl.p99, kl.p999, kl.max]
      table.row("All predictions", figures.map { $0.map(NumberText.nats) ?? NumberText.absent })
      body += table.html
    }
    return HTML.section("Key/value cache", id: "kv-cache", body)
  }
}
