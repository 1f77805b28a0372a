extension ReportTable {
  /// The compressed weights under each way of bringing in activations.
  var activations: Section? {
    guard let forms = report.activations, !forms.isEmpty else { return nil }
    var section = Section(title: "Activations, the same weights")
    var table = TextTable([.left, .right, .right, .right, .right, .right])
    table.header("", "perplexity", "95 % interval", "mean KL", "99 % KL", "same top token")
    for form in forms.prefix(4) {
      let change = form.perplexityChange
      table.row(
        .init(form.title), .init(change?.value ?? NumberText.absent), .init(change?.interval ?? ""),
        .init(form.klDivergence?.mean.map(NumberText.nats) ?? NumberText.absent),
        .init(form.klDivergence?.p99.map(NumberText.nats) ?? NumberText.absent),
        .init(form.topTokenAgreement.map { NumberText.percent($0) } ?? NumberText.absent))
    }
    section.add(table, spare: [4])
    return section
  }
}
