// Quantizes the demo model to every width, with two sizes of groups, and draws the Pareto front of size and KL divergence.
//
//     swift run -c release --package-path Examples sweep-bits
import DeepSeekOptimize
import Foundation

let directory = URL.temporaryDirectory.appending(path: "sweep-bits")
try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)

var evaluation = EvaluationSettings()
evaluation.measuresSpeed = false
let demo = try await Quantizer.load("demo").evaluate(on: evaluation)

var reports: [CompressionReport] = []
var labels: [String] = []
for (bits, groupSize) in [(8, 0), (6, 0), (6, 32), (5, 0), (5, 32), (4, 0), (4, 32), (3, 0), (3, 32), (2, 32)] {
  labels.append("\(bits) bits, \(groupSize == 0 ? "a scale a row" : "groups of \(groupSize)")")
  // Rounding alone: ImportanceMatrix, GPTQ and others of the package are better, and need text to calibrate on.
  let pass = RoundToNearest(bits: bits, groupSize: groupSize)
  reports.append(try await demo.apply(pass).save(to: directory.appending(path: "\(bits)-\(groupSize)"), overwrite: true))
}

/// What counts of a report: less is better in both.
func figures(_ report: CompressionReport) -> (bits: Double, divergence: Double) {
  (report.size?.bitsPerWeight ?? .infinity, report.accuracy?.klDivergence?.mean ?? .infinity)
}

print("  bits/weight   mean KL")
for (report, label) in zip(reports, labels) {
  let (bits, divergence) = figures(report)
  let isBeaten = reports.map(figures).contains { $0.bits <= bits && $0.divergence < divergence }
  // A bar for the logarithm: four signs for a factor of 2, from 0.0001 nats.
  let bar = String(repeating: "=", count: max(1, Int(max(0, min(60, 4 * log2(max(divergence, 1e-4) / 1e-4))))))
  let name = label.padding(toLength: 24, withPad: " ", startingAt: 0)
  print((isBeaten ? " " : "*") + String(format: "%12.2f %9.5f  ", bits, divergence) + name + bar)
}
print("* on the front: none is both smaller and closer to the source")

let page = directory.appending(path: "comparison.html")
try HTMLComparison.render(reports, labels: labels).write(to: page, atomically: true, encoding: .utf8)
print("the same as a plot: \(page.path)")
