extension ComparisonPage {
  /// More would not fit a page.
  private static let rowLimit = 12
  private static let kindLimit = 12

  /// The reports whose layers go on one map: those of one source, by what their layers put out where that was measured on one text.
  private var mapped: (indices: [Int], usesOutput: Bool) {
    func hasLayers(_ index: Int, _ value: (CompressionReport.Layer) -> Double?) -> Bool {
      reports[index].layers?.contains { value($0)?.isFinite == true } == true
    }
    let sets = [comparability.compared, Array(reports.indices)].map { indices in
      indices.first.map { first in indices.filter { Comparability.haveSameSource(reports[$0], reports[first]) } } ?? []
    }
    let outputs = sets[0].filter { hasLayers($0, \.outputSQNRdB) }
    let weights = sets[1].filter { hasLayers($0, \.weightSQNRdB) }
    // Outputs depend on the text they were measured on, weights do not.
    let usesOutput = outputs.count > 1
    return (Array((usesOutput ? outputs : weights).prefix(Self.rowLimit)), usesOutput)
  }

  var heatMap: String {
    let (shown, usesOutput) = mapped
    guard shown.count > 1 else { return "" }
    var order: [String] = []
    var rows: [String: [[HeatMap.Cell]]] = [:]
    for (row, index) in shown.enumerated() {
      let layers = reports[index].layers ?? []
      let kinds = LayerPosition.kinds(of: layers)
      for kind in kinds.order where rows[kind] == nil {
        order.append(kind)
        rows[kind] = Array(repeating: [], count: shown.count)
      }
      for (layer, position) in zip(layers, kinds.positions) {
        guard let value = usesOutput ? layer.outputSQNRdB : layer.weightSQNRdB, value.isFinite else { continue }
        rows[position.kind]?[row].append((Double(position.block ?? 0), value))
      }
    }
    let panels = order.compactMap { kind in rows[kind].map { HeatMap.Panel(name: kind, rows: $0) } }
      .filter { $0.rows.contains { !$0.isEmpty } }
    guard !panels.isEmpty else { return "" }
    let drawn = Array(panels.prefix(Self.kindLimit))
    let what = usesOutput ? "output" : "weight"
    let plot = HeatMap(
      title: "Signal to quantization noise by layer and report",
      summary: "\(drawn.count) kinds of layer, \(shown.count) reports; the stronger the colour, the more was lost. A table follows.",
      panels: drawn, rowNames: shown.map { String($0 + 1) }, xAxis: "block", unit: "dB")
    var caption = "The \(what) SQNR of every layer: a panel for each kind of projection, a row for each report (numbers as in the "
    caption += "table), blocks from left to right. The stronger the colour, the more was lost; "
    caption += "an empty place was not quantized, or has no SQNR."
    if shown.count < reports.count {
      caption += " Reports apart, without figures by layer, or beyond the first \(Self.rowLimit), are left out."
    }
    if drawn.count < panels.count { caption += " \(panels.count - drawn.count) further kinds are in the CSV of layers only." }
    return HTML.section(
      "Layers", id: "layers",
      plot.figure(id: "p-heat", caption: HTML.escape(caption)) + lowest(panels, shown, what)
        + HTML.paragraph("compare --csv --layers has every layer of every report.", class: "small muted"))
  }

  /// The worst layer of each kind in each report: what the map shows best, for those who cannot see it.
  private func lowest(_ panels: [HeatMap.Panel], _ shown: [Int], _ what: String) -> String {
    var table = HTMLTable(
      "Lowest \(what) SQNR of each kind in dB, and its block", first: "Kind of layer", shown.map { "#\($0 + 1)" })
    for panel in panels {
      table.row(
        panel.name,
        panel.rows.map { cells in
          cells.min { $0.value < $1.value }.map { "\(NumberText.fixed($0.value, 1)) (\(NumberText.fixed($0.column, 0)))" } ?? ""
        })
    }
    return HTML.details("As a table: the lowest of each kind", table.html)
  }
}
