import StructuredData

extension ReportPage {
  var speed: String {
    var body = ""
    let pairs = [("Prefill", report.speed?.prefillTokensPerSecond), ("Decode", report.speed?.decodeTokensPerSecond)]
    if pairs.contains(where: { $0.1 != nil }) {
      let caption = report.speed?.compute.map { "Tokens per second, computed in \($0)" } ?? "Tokens per second"
      var table = HTMLTable(caption, first: "", ["reference", "compressed", "speed-up"])
      for (name, pair) in pairs {
        guard let pair else { continue }
        table.row(
          name, [Self.rate(pair.reference), Self.rate(pair.compressed), pair.speedUp.map { NumberText.fixed($0, 2) + "×" } ?? ""])
      }
      body += table.html
    }
    if let resources = report.resources {
      var table = HTMLTable("What this run took", first: "", ["figure"])
      if let seconds = resources.wallSeconds { table.row("Wall time", [NumberText.duration(seconds)]) }
      if let threads = resources.threads { table.row("Threads", [NumberText.grouped(threads)]) }
      if let memory = resources.peakMemoryBytes { table.row("Peak memory", [NumberText.memory(memory)]) }
      if let read = resources.bytesRead { table.row("Read", [NumberText.bytes(read)]) }
      if let written = resources.bytesWritten { table.row("Written", [NumberText.bytes(written)]) }
      if !table.rows.isEmpty { body += table.html }
    }
    return body.isEmpty ? "" : HTML.section("Speed and cost", id: "speed", body)
  }

  private static func rate(_ value: Double?) -> String { value.map { NumberText.significant($0, 4) } ?? NumberText.absent }

  var gates: String {
    guard !report.gates.isEmpty else { return "" }
    var table = HTMLTable("Limits declared before the run", first: "Gate", ["limit", "measured", "verdict"], text: ["verdict"])
    for gate in report.gates.prefix(200) {
      let figures = gate.figures
      table.row(
        gate.name, [figures.limit, figures.value].map { $0 ?? NumberText.absent } + [gate.passed ? "✓ passed" : "✗ missed"],
        class: gate.passed ? "good" : "bad")
    }
    return HTML.section("Gates", id: "gates", table.html)
  }

  /// The passes as a recipe has them. The report does not know the format and the seed; recipe.yaml does, which runs of recipes leave beside it.
  private var recipe: String {
    let listing = RecipeListing(report.recipe)
    var html = "<h3>Recipe</h3>\n"
    if listing.isRunnable {
      let isCalibrated = report.calibration != nil || report.inputs?.calibrationSHA256 != nil
      let calibration = isCalibrated ? " --calibration TEXT" : ""
      let rest = isCalibrated ? ", the seed and the text of calibration" : " and the seed"
      html += HTML.paragraph(
        "recipe.yaml in the directory of the checkpoint has these passes, the format\(rest). "
          + "The same version of the program makes the same weights of the same source again:")
      html += Self.code("deepseek-optimize run recipe.yaml --model MODEL --output OUTPUT\(calibration)", label: "Command")
    } else {
      html += HTML.paragraph("These are settings of deepseek-finetune, which takes them as options; they are no recipe to run.")
    }
    let scalars = listing.yaml.unicodeScalars
    let source = listing.isRunnable ? "recipe.yaml" : "report.json"
    let shown = scalars.count > 4000 ? String(scalars.prefix(4000)) + "\n… the rest is in \(source)" : listing.yaml
    return html + Self.code(shown, label: "Passes")
  }

  private static func code(_ text: String, label: String) -> String {
    "<div class=\"scroll\" role=\"region\" aria-label=\"\(label)\" tabindex=\"0\"><pre>\(HTML.escape(text))</pre></div>\n"
  }

  /// What it takes to repeat the run and to tell whether two reports speak of the same thing.
  var identity: String {
    var body = report.recipe.isEmpty ? "" : recipe
    if let inputs = report.inputs {
      let hashes = [
        ("Model", inputs.modelSHA256), ("Calibration text", inputs.calibrationSHA256), ("Evaluation text", inputs.evalSHA256),
        ("Training data", inputs.dataSHA256),
        ("Adapter", inputs.adapterSHA256),
      ]
      var table = HTMLTable("Inputs, SHA-256", first: "Input", ["digest"], text: ["digest"])
      for (name, hash) in hashes { if let hash { table.row(name, [hash]) } }
      if !table.rows.isEmpty { body += "<div class=\"code\">\(table.html)</div>" }
    }
    if !report.outputs.isEmpty {
      var table = HTMLTable("Files written", first: "File", ["size", "SHA-256"], text: ["SHA-256"])
      for file in report.outputs.prefix(200) { table.row(file.name, [file.bytes.map(NumberText.bytes) ?? "", file.sha256 ?? ""]) }
      let html = "<div class=\"code\">\(table.html)</div>"
      body += report.outputs.count > 12 ? HTML.details("\(NumberText.grouped(report.outputs.count)) files written", html) : html
    }
    return body.isEmpty ? "" : HTML.section("How to repeat it", id: "identity", body)
  }
}
