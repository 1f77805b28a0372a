// GPTQ at 4 bits, with other settings for some layers: what they cost and what they are worth.
//
//     swift run -c release --package-path Examples gptq-overrides
import DeepSeekOptimize
import Foundation

let directory = URL.temporaryDirectory.appending(path: "gptq-overrides")
try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)

let uniform = GPTQ(bits: 4)
var mixed = uniform
mixed.targets.overrides = [
  // A name, or its last components. What an override leaves out stays as it was: groups of 128.
  .init(pattern: "mlp.down_proj", bits: 6),
  // A regular expression, from the start of the name. Later overrides win.
  .init(pattern: #"re:model\.layers\.[03]\."#, groupSize: 32),
]
mixed.targets.ignore = ["model.layers.0.self_attn.k_proj"]

let recipes: [(name: String, pass: any RecipePass)] = [
  ("rounding", RoundToNearest(bits: 4, groupSize: 128)), ("gptq", uniform), ("overrides", mixed),
]
var reports: [CompressionReport] = []
for (name, pass) in recipes {
  // Only GPTQ looks at the text: 32 windows of 256 tokens.
  let quantizer = try await Quantizer.load("demo").apply(pass).calibrate(on: "demo", samples: 32, sequenceLength: 256)
  reports.append(try await quantizer.save(to: directory.appending(path: name), overwrite: true))
}
print(ComparisonTable(reports, labels: recipes.map(\.name)).text())

print("Signal over noise in the output of every layer, in dB: all at 4 bits, and with overrides")
let plain = Dictionary(uniqueKeysWithValues: (reports[1].layers ?? []).map { ($0.name, $0.outputSQNRdB ?? 0) })
for layer in reports[2].layers ?? [] {
  let name = layer.name.padding(toLength: 34, withPad: " ", startingAt: 0)
  let settings = layer.bits.map { "\(Int($0)) bits, groups of \(layer.groupSize ?? 0)" } ?? "as it was"
  print(String(format: "  %@ %5.1f %5.1f  %@", name, plain[layer.name] ?? 0, layer.outputSQNRdB ?? 0, settings))
}
print("\nThe recipe, for `deepseek-optimize run`:\n")
print(Recipe(calibration: CalibrationPlan(text: "demo", samples: 32, sequenceLength: 256)) { mixed }.yaml())
