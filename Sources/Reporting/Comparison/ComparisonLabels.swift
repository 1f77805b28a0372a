/// Short names that tell reports apart.
enum ComparisonLabels {
  /// The recipe of each, with the model's name where models differ; what is still the same twice gets a number.
  static func labels(for reports: [CompressionReport]) -> [String] {
    let differentModels = Set(reports.map(\.model.name)).count > 1
    var seen: [String: Int] = [:]
    return reports.map { report in
      let recipe = ReportSummary(report: report).recipe
      let label =
        recipe.isEmpty ? report.model.name : differentModels ? "\(report.model.name): \(recipe)" : recipe
      seen[label, default: 0] += 1
      let count = seen[label] ?? 1
      return count > 1 ? "\(label) (\(count))" : label
    }
  }

  /// The labels given, or our own when they do not fit the reports.
  static func resolved(_ labels: [String]?, for reports: [CompressionReport]) -> [String] {
    guard let labels, labels.count == reports.count else { return Self.labels(for: reports) }
    return labels
  }
}
