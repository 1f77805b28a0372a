/// Whether the figures of several reports may be set against each other.
struct Comparability {
  /// Why accuracy may not be compared; empty when it may.
  private(set) var accuracyObstacles: [String] = []
  /// Whether all reports start from the same source model, so that KL divergences have the same reference.
  let sameSource: Bool

  var isComparable: Bool { accuracyObstacles.isEmpty }

  init(_ reports: [CompressionReport]) {
    let sources = Set(reports.compactMap { $0.inputs?.modelSHA256 })
    let names = Set(reports.map(\.model.name))
    sameSource = sources.isEmpty ? names.count <= 1 : sources.count == 1
    let missing = reports.indices.filter { reports[$0].accuracy == nil }.map { String($0 + 1) }
    if !missing.isEmpty { accuracyObstacles.append("accuracy was not measured in report \(missing.joined(separator: ", "))") }
    let measured = reports.filter { $0.accuracy != nil }
    // A hash decides; the name of the text only where a hash is missing.
    let hashes = measured.map { $0.inputs?.evalSHA256 }
    if hashes.allSatisfy({ $0 != nil }) {
      if Set(hashes).count > 1 { accuracyObstacles.append("the evaluation texts differ (by their SHA-256)") }
    } else if Set(measured.map { $0.accuracy?.text }).count > 1 {
      accuracyObstacles.append("the evaluation texts differ (by their names)")
    }
    add("numbers of scored predictions", measured.map { $0.accuracy?.tokens })
    add("window lengths", measured.map { $0.accuracy?.context })
    if !sameSource { accuracyObstacles.append("the source models differ, and with them the reference of the KL divergence") }
  }

  private mutating func add(_ what: String, _ values: [Int?]) {
    let distinct = Set(values)
    guard distinct.count > 1 else { return }
    let figures = distinct.sorted { ($0 ?? -1) < ($1 ?? -1) }.prefix(6).map { $0.map { NumberText.grouped($0) } ?? "unknown" }
    accuracyObstacles.append("the \(what) differ (\(figures.joined(separator: "; ")))")
  }

  /// One sentence for the reader; nil when everything may be compared.
  var notice: String? {
    guard !isComparable else { return nil }
    return "Accuracy is not comparable across these reports: \(accuracyObstacles.joined(separator: "; "))."
  }
}
