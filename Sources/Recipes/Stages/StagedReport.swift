import Diagnostics
import Foundation
import ModelGraph
import Reporting
import StructuredData

/// One report of what the stages of a recipe did, each measured against what the recipe began on.
struct StagedReport {
  private let run: RecipeRun
  private let names: [String]
  private let reports: [CompressionReport]

  init(_ run: RecipeRun, stages: [Recipe], journal: StageJournal) throws {
    self.run = run
    names = stages.map(\.identifiers)
    reports = try stages.indices.map { try StoredReport.read(journal.directory($0).path) }
  }

  func combined() throws -> CompressionReport {
    guard var report = reports.last, let first = reports.first else { throw RecipeError("recipe", "has no stages", kind: .usage) }
    let source = run.model
    report.model = .init(name: source.name, family: source.graph.family, parameters: source.graph.parameterCount)
    report.recipe = run.recipe.listing
    report.inputs?.modelSHA256 = try source.contentDigest()
    report.inputs?.calibrationSHA256 = reports.lazy.compactMap { $0.inputs?.calibrationSHA256 }.first
    report.inputs?.dataSHA256 = reports.lazy.compactMap { $0.inputs?.dataSHA256 }.first
    report.calibration = reports.lazy.compactMap(\.calibration).first
    report.training = reports.lazy.compactMap(\.training).last
    report.pruning = reports.lazy.compactMap(\.pruning).first
    report.replacement = reports.lazy.compactMap(\.replacement).first
    report.distillation = reports.lazy.compactMap(\.distillation).last
    report.passes = [row("source", first.accuracy?.reference, bytes: source.sourceBytes, parameters: source.graph.parameterCount)]
    for (name, stage) in zip(names, reports) {
      var row = row(name, stage.accuracy?.compressed, bytes: stage.size?.outputBytes, parameters: stage.size?.parameters)
      row.klDivergence = stage.accuracy?.klDivergence?.mean
      row.topTokenAgreement = stage.accuracy?.topTokenAgreement
      row.seconds = stage.resources?.wallSeconds
      report.passes?.append(row)
    }
    var warnings: [String] = []
    for warning in reports.flatMap(\.warnings) where !warnings.contains(warning) { warnings.append(warning) }
    report.warnings = warnings
    report.resources?.wallSeconds = reports.reduce(0) { $0 + ($1.resources?.wallSeconds ?? 0) }
    report.resources?.peakMemoryBytes = reports.compactMap { $0.resources?.peakMemoryBytes }.max()
    report.resources?.bytesRead = reports.reduce(0) { $0 + ($1.resources?.bytesRead ?? 0) }
    report.resources?.bytesWritten = reports.reduce(0) { $0 + ($1.resources?.bytesWritten ?? 0) }
    return report
  }

  private func row(
    _ name: String, _ perplexity: CompressionReport.Perplexity?, bytes: Int?, parameters: Int?
  ) -> CompressionReport.PassResult {
    .init(name: name, parameters: parameters, bytes: bytes, perplexity: perplexity?.perplexity)
  }
}
