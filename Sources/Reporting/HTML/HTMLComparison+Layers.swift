extension ComparisonPage {
  /// More would not fit a page.
  private static let rowLimit = 12
  private static let kindLimit = 12

  var heatMap: String {
    let shown = reports.indices.filter { reports[$0].layers?.isEmpty == false }.prefix(Self.rowLimit)
    guard shown.count > 1, comparability.sameSource else { return "" }
    // Outputs depend on the text they were measured on, weights do not.
    let usesOutput = comparability.isComparable && shown.allSatisfy { reports[$0].layers?.contains { $0.outputSQNRdB != nil } == true }
    var order: [String] = []
    var rows: [String: [[(column: Double, value: Double)]]] = [:]
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
      .filter { $0.rows.contains { !$0.isEmpty } }.prefix(Self.kindLimit)
    guard !panels.isEmpty else { return "" }
    let what = usesOutput ? "output" : "weight"
    let plot = HeatMap(
      title: "Signal to quantization noise by layer and report",
      summary: "\(panels.count) kinds of layer, \(shown.count) reports; the stronger the colour, the more was lost.",
      panels: Array(panels), rowNames: shown.map { String($0 + 1) }, xAxis: "block", unit: "dB")
    var caption = "The \(what) SQNR of every layer: a panel for each kind of projection, a row for each report (numbers as in the "
    caption += "table), blocks from left to right. The stronger the colour, the more was lost; an empty place was not quantized."
    if shown.count < reports.count { caption += " Reports without figures by layer, or beyond the first \(Self.rowLimit), are left out." }
    return HTML.section("Layers", id: "layers", plot.figure(id: "p-heat", caption: HTML.escape(caption)))
  }
}
