/// Several reports and what is true of them together: what the terminal, the page, Markdown and CSV share.
struct ReportComparison {
  let reports: [CompressionReport]
  let labels: [String]
  let comparability: Comparability
  let tests: PairedTests

  init(_ reports: [CompressionReport], labels: [String]? = nil) {
    self.reports = reports
    self.labels = ComparisonLabels.resolved(labels, for: reports)
    comparability = Comparability(reports)
    tests = PairedTests(reports, comparability.compared)
  }

  /// `2. demo-int4`, with a dagger where the report is not compared with the others.
  func name(_ index: Int) -> String { "\(index + 1). \(label(index))" }

  /// The label, with the dagger.
  func label(_ index: Int) -> String {
    labels[index] + (comparability.apart.contains { $0.index == index } ? " †" : "")
  }

  /// What a report is set against the mean KL divergence by.
  enum Measure: CaseIterable {
    case bytes, bitsPerWeight

    func value(_ report: CompressionReport) -> Double? {
      switch self {
      case .bytes: report.size?.outputBytes.map(Double.init)
      case .bitsPerWeight: report.size?.bitsPerWeight
      }
    }
  }

  /// The compared reports that have both a size and a divergence.
  func points(by measure: Measure) -> [(index: Int, size: Double, divergence: Double)] {
    comparability.compared.compactMap { index in
      guard let size = measure.value(reports[index]), size > 0, size.isFinite, let mean = reports[index].accuracy?.klDivergence?.mean,
        mean >= 0, mean.isFinite
      else { return nil }
      return (index, size, mean)
    }
  }

  /// For each point whether another report is at least as small and as close, and better in one; the closest of those. Nil on the front.
  func dominators(by measure: Measure) -> [Int: Int?] {
    let points = points(by: measure)
    var found: [Int: Int?] = [:]
    for point in points {
      let better = points.filter {
        $0.size <= point.size && $0.divergence <= point.divergence && ($0.size < point.size || $0.divergence < point.divergence)
      }
      found[point.index] = .some(better.min { ($0.divergence, $0.size) < ($1.divergence, $1.size) }?.index)
    }
    return found
  }

  /// Which reports no other beats on bytes and mean KL divergence, in a sentence; nil with fewer than two points.
  var front: String? {
    let dominators = dominators(by: .bytes)
    guard dominators.count > 1 else { return nil }
    let best = points(by: .bytes).filter { (dominators[$0.index] ?? nil) == nil }.sorted { $0.size < $1.size }.map { String($0.index + 1) }
    let names = best.count < 2 ? best.joined() : best.dropLast().joined(separator: ", ") + " and " + (best.last ?? "")
    return "On size and mean KL together no other report beats \(names)."
  }
}
