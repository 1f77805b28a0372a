import Foundation

extension ReportPage {
  /// What each stage of distillation changed, and what leaving some out comes to.
  var distillation: String {
    guard let distillation = report.distillation else { return "" }
    var body = HTML.paragraph(HTML.typographic(distillation.sentence + "."))
    var table = HTMLTable(
      "Stage by stage", first: "After", ["KL", "same top token", "CKA", "typos", "adversarial", "seconds", "outcome"], text: ["outcome"])
    if let first = distillation.stages.first { table.row("the student", first.before.cells + ["", ""]) }
    for stage in distillation.stages {
      table.row(
        stage.name, stage.after.cells + [stage.seconds.map { NumberText.significant($0, 3) } ?? "", stage.isKept ? "kept" : "rolled back"],
        class: stage.isKept ? nil : "bad")
    }
    body += table.html
    body += distillation.stages.map { HTML.paragraph(HTML.typographic($0.sentence + ".")) }.joined()
    for (index, stage) in distillation.stages.enumerated() {
      let losses = stage.losses.filter { $0.loss.isFinite }
      guard losses.count > 1 else { continue }
      let shown = losses.count <= 300 ? losses : (0..<300).map { losses[$0 * losses.count / 300] }
      let plot = LossPlot(
        title: "Loss of \(stage.name)", summary: stage.sentence, training: shown.map { (Double($0.step), $0.loss) }, evaluations: [],
        kept: nil)
      body += plot.figure(id: "stage-\(index)", caption: HTML.escape("\(stage.name): each step’s loss before the step."), table: plot.table)
    }
    if let ablation = distillation.ablation, !ablation.isEmpty {
      var table = HTMLTable(
        "Stages on and off, means over seeds", first: "Trained by",
        ["seeds", "steps", "KL", "±", "perplexity", "± ", "typos", "adversarial", "seconds"])
      for variant in ablation {
        table.row(variant.name, ["\(variant.seeds)", variant.steps.map { NumberText.grouped($0) } ?? ""] + variant.cells)
      }
      body += table.html
    }
    return HTML.section("Distilled", id: "distillation", body)
  }
}
