import Foundation

extension ReportPage {
  var training: String {
    guard let training = report.training else { return "" }
    var body = ""
    if let sentence = training.sentence { body += HTML.paragraph(HTML.typographic(sentence)) }
    // A page needs no more points than it has columns.
    let losses = training.losses.filter { $0.loss.isFinite }
    let shown = losses.count <= 600 ? losses : (0..<600).map { losses[$0 * losses.count / 600] }
    if shown.count > 1 || training.evaluations.count > 1 {
      let plot = LossPlot(
        title: "Loss over the run", summary: training.sentence ?? "Losses by step.",
        training: shown.map { (Double($0.step), $0.loss) },
        evaluations: training.evaluations.filter { $0.loss.isFinite }.map { (Double($0.step), $0.loss) },
        kept: training.bestStep.map(Double.init))
      body += plot.figure(
        id: "losses", caption: HTML.escape("Each step’s loss before the step; the larger dot is what was kept."), table: plot.table)
    }
    var table = HTMLTable("What was trained", first: "", ["figure"])
    for (name, value) in training.figures { table.row(name, [value]) }
    if !table.rows.isEmpty { body += table.html }
    return HTML.section("Training", id: "training", body)
  }
}
