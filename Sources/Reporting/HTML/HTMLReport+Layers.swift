extension ReportPage {
  /// More kinds of projection than this go into the table only.
  private static let panelLimit = 12
  /// The full table's limits: bytes of all rows, bytes when only the worst fit, and rows that are formatted to find out.
  private static let tableBytes = 160_000
  private static let worstBytes = 100_000
  private static let tableRows = 2000

  var layers: String {
    guard let layers = report.layers, !layers.isEmpty else { return "" }
    var body = plot(layers)
    let worst = summary.worstLayers(5)
    if layers.count > 5, !worst.isEmpty {
      let caption =
        summary.measuredLayers < layers.count ? Self.capitalized(summary.selection(worst.count)) : "The \(worst.count) that lost most"
      body += table(caption, worst).html
    }
    let full = fullTable(layers)
    let rest = full.rows.count < layers.count ? HTML.paragraph("The page has no room for more; report.json has all of them.") : ""
    return HTML.section("Layers", id: "layers", body + HTML.details(full.caption, rest + full.html))
  }

  private func plot(_ layers: [CompressionReport.Layer]) -> String {
    let kinds = LayerPosition.kinds(of: layers)
    var indices: [String: [Int]] = [:]
    for (index, position) in kinds.positions.enumerated() where layers[index].isMeasured {
      indices[position.kind, default: []].append(index)
    }
    let shown = kinds.order.filter { indices[$0] != nil }
    let panels = shown.prefix(Self.panelLimit).map { kind in
      var series: [[DotPanels.Point]] = [[], []]
      for index in indices[kind] ?? [] {
        let layer = layers[index]
        let x = Double(kinds.positions[index].block ?? 0)
        for (number, value) in [layer.weightSQNRdB, layer.outputSQNRdB].enumerated() {
          guard let value, value.isFinite else { continue }
          series[number].append(.init(x: x, y: value, tip: Self.tip(layer)))
        }
      }
      return DotPanels.Panel(name: kind, series: series)
    }
    guard !panels.isEmpty else { return "" }
    let worst = summary.worstLayers(1).first.map { " The lowest is \($0.name)." } ?? ""
    let rest = layers.count - summary.measuredLayers
    let counted = "\(layers.count) layers" + (rest > 0 ? " have an SQNR," : "") + " in \(shown.count) kind\(shown.count == 1 ? "" : "s")."
    let plot = DotPanels(
      title: "Signal to quantization noise by layer",
      summary: (rest > 0 ? "\(layers.count - rest) of " : "") + counted + worst,
      panels: panels, series: ["weights", "output"], xAxis: "block", yAxis: "SQNR, dB", hasTips: layers.count <= 150)
    var caption = "Signal to quantization noise of each layer's weights and of its output; higher is better, and about 6 dB "
    caption += "are worth one bit. A panel for each kind of projection, blocks from left to right."
    if rest > 0 {
      caption += " \(NumberText.grouped(rest)) of \(NumberText.grouped(layers.count)) layers have no such figure: "
      caption += "their weights were rescaled, or they came out exact."
    }
    if plot.isAggregated { caption += " Where many layers share a place: median and range." }
    if shown.count > panels.count { caption += " \(shown.count - panels.count) further kinds are in the table only." }
    return plot.figure(id: "p-layers", caption: HTML.escape(HTML.typographic(caption)))
  }

  private static func tip(_ layer: CompressionReport.Layer) -> String {
    var words = TerminalText.elided(layer.name, to: 80)
    if let weight = layer.weightSQNRdB { words += ", weights \(NumberText.fixed(weight, 1)) dB" }
    if let output = layer.outputSQNRdB { words += ", output \(NumberText.fixed(output, 1)) dB" }
    return words
  }

  /// A column of the tables; one that says the same of every layer goes into the caption instead.
  private struct Column: Sendable {
    var title: String
    var isText = false
    var value: @Sendable (CompressionReport.Layer) -> String
    /// What the caption says of a value all layers share; nil keeps the column.
    var shared: (@Sendable (String) -> String)?
  }

  private static let columns: [Column] = [
    Column(title: "bits", value: { $0.bits.map(NumberText.bits) ?? "" }, shared: { "\($0) bits" }),
    Column(title: "group", value: { $0.groupText }, shared: { $0 == "channel" ? "one scale per channel" : "groups of \($0)" }),
    Column(title: "format", isText: true, value: { $0.format ?? "" }, shared: { TerminalText.elided($0, to: 40) }),
    Column(title: "weights, dB", value: { decibels($0.weightSQNRdB) }),
    Column(title: "output, dB", value: { decibels($0.outputSQNRdB) }),
    Column(title: "clipped", value: { $0.clippedFraction.map { NumberText.percent($0) } ?? "" }),
    Column(title: "fallback", isText: true, value: { $0.fallback ?? "" }, shared: { "fallback \(TerminalText.elided($0, to: 40))" }),
  ]

  /// The columns that tell layers apart, and what the others say of all.
  private func columns(_ layers: [CompressionReport.Layer]) -> (kept: [Column], notes: [String]) {
    var kept: [Column] = []
    var notes: [String] = []
    for column in Self.columns {
      let first = layers.first.map(column.value) ?? ""
      guard let shared = column.shared, layers.allSatisfy({ column.value($0) == first }) else {
        kept.append(column)
        continue
      }
      if !first.isEmpty { notes.append(shared(first)) }
    }
    return (kept, notes)
  }

  private func table(_ caption: String, _ layers: [CompressionReport.Layer], bytes: Int = tableBytes) -> HTMLTable {
    let (kept, notes) = columns(report.layers ?? [])
    let note = notes.isEmpty ? "" : " (all: \(notes.joined(separator: ", ")))"
    var table = HTMLTable(
      caption + note, first: "Layer", kept.map(\.title), text: Set(kept.filter(\.isText).map(\.title)))
    table.byteLimit = bytes
    for layer in layers { table.row(layer.name, kept.map { $0.value(layer) }) }
    return table
  }

  private static func decibels(_ value: Double?) -> String { value.map { NumberText.fixed($0, 1) } ?? "" }

  /// All layers in model order, or as many of the worst as the page has room for.
  private func fullTable(_ layers: [CompressionReport.Layer]) -> HTMLTable {
    if layers.count <= Self.tableRows {
      let all = table("All \(NumberText.grouped(layers.count)) layers", layers)
      if all.rows.count == layers.count { return all }
    }
    let isMeasured = summary.measuredLayers > 0
    var part = table("", isMeasured ? summary.worstLayers(Self.tableRows) : Array(layers.prefix(Self.tableRows)), bytes: Self.worstBytes)
    part.countsRest = false
    let count = part.rows.count
    let first = "The first \(NumberText.grouped(count)) of \(NumberText.grouped(layers.count)) layers"
    part.caption = (isMeasured ? Self.capitalized(summary.selection(count, " layers")) : first) + part.caption
    return part
  }

  private static func capitalized(_ words: String) -> String { words.prefix(1).uppercased() + words.dropFirst() }
}

extension CompressionReport.Layer {
  /// Whether a drawing has anything to show of it.
  var isMeasured: Bool { weightSQNRdB?.isFinite == true || outputSQNRdB?.isFinite == true }
}
