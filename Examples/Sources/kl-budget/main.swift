// Mixed precision: the smallest model whose mean KL divergence stays within a budget, every layer with the bits that it deserves.
//
//     swift run -c release --package-path Examples kl-budget
import DeepSeekOptimize
import Foundation

let directory = URL.temporaryDirectory.appending(path: "kl-budget")
try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)

// The pass says how layers are quantized; its bits are what is chosen. The text is what sensitivities are measured on.
let quantizer = try await Quantizer.load("demo").apply(ImportanceMatrix(bits: 4, groupSize: 32))
  .calibrate(on: "demo", samples: 32, sequenceLength: 256)

for budget in [0.01, 0.05] {
  let output = directory.appending(path: "within-\(budget)")
  let report = try await quantizer.chooseBits(for: .klDivergence(budget)).save(to: output, overwrite: true)
  guard let allocation = report.allocation, let measured = report.accuracy?.klDivergence?.mean else { continue }
  print(String(format: "Within %.2f nats a token: %.2f bits per quantized weight", budget, allocation.bitsPerWeight ?? .nan))
  // The budget was held on calibration text that no layer was measured on; the report measures on another text.
  print(
    String(
      format: "  predicted %.4f, on held-out text %.4f, on the evaluation text %.4f", allocation.predictedKL ?? .nan,
      allocation.measuredKL ?? .nan, measured))
  for (bits, groups) in Dictionary(grouping: allocation.groups, by: { $0.bits ?? 16 }).sorted(by: { $0.key > $1.key }) {
    let names = groups.map { $0.name.replacingOccurrences(of: "model.layers.", with: "") }
    print("  \(bits) bits: \(names.joined(separator: ", "))")
  }
  // An ordinary recipe with an override for every layer that differs: it makes the same bytes without choosing again.
  print("  \(output.appending(path: "recipe.yaml").path)")
}
