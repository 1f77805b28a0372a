extension ReportPage {
  var activations: String {
    guard let forms = report.activations, !forms.isEmpty else { return "" }
    var table = HTMLTable(
      "Against the uncompressed model", first: "Activations",
      ["perplexity", "95 % interval", "mean KL", "median", "99 %", "max", "same top token"])
    for form in forms.prefix(4) {
      let (change, kl) = (form.perplexityChange, form.klDivergence)
      let figures = [kl?.mean, kl?.median, kl?.p99, kl?.max].map { $0.map(NumberText.nats) ?? NumberText.absent }
      table.row(
        form.title,
        [change?.value ?? NumberText.absent, change?.interval ?? ""] + figures
          + [form.topTokenAgreement.map { NumberText.percent($0) } ?? NumberText.absent])
    }
    let words = "The same written weights with each way of bringing in activations; the first row is how the checkpoint is to be run."
    return HTML.section("Activations", id: "activations", HTML.paragraph(words) + table.html)
  }
}
