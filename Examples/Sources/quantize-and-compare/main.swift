// Quantizes the demo model to 8 and to 4 bits, and sets the two reports side by side.
//
//     swift run -c release --package-path Examples quantize-and-compare
import DeepSeekOptimize
import Foundation

let directory = FileManager.default.temporaryDirectory.appendingPathComponent("quantize-and-compare")
try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)

// Opens the files and builds the graph. No weight is read yet.
let demo = try await Quantizer.load("demo")

var reports: [CompressionReport] = []
for method in [Quantizer.Method.int8, .int4] {
  let output = directory.appendingPathComponent("demo-\(method)")
  // `save` does the work: quantize, write, read again, measure. 4 bits means groups of 128 unless told otherwise.
  reports.append(try await demo.quantize(method: method).save(to: output.path, overwrite: true))
}

print(ComparisonTable(reports, labels: ["int8", "int4"]).text())

// Every figure of report.json is a property. What was not measured is nil.
for report in reports {
  let worst = (report.layers ?? []).min { ($0.outputSQNRdB ?? .infinity) < ($1.outputSQNRdB ?? .infinity) }
  if let worst, let decibels = worst.outputSQNRdB {
    print("worst layer of \(worst.format ?? "?"): \(worst.name), \(String(format: "%.1f", decibels)) dB")
  }
}
