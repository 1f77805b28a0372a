// Trains a LoRA adapter on a text, merges it into the weights, and takes it out again.
//
//     swift run -c release --package-path Examples lora-and-merge
import DeepSeekOptimize
import Foundation

let directory = URL.temporaryDirectory.appending(path: "lora-and-merge")
try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
let demo = try ModelBundle(opening: "demo")

// Options that are not named keep their defaults; a share of the text is held out to measure on.
var settings = FinetuneSettings()
settings.adaptation = LowRankAdaptation(rank: 8, alpha: 16, targets: [LowRankAdaptation.allLayers])
settings.learningRate = 1e-3
settings.steps = 30
settings.batchSize = 4
settings.sequenceLength = 128
settings.evaluationInterval = 10

let adapter = directory.appending(path: "adapter")
var run = FinetuneRun(model: demo, named: "demo", data: DemoModel.calibrationText, settings: settings, output: adapter)
run.overwrite = true
let training = try run.execute().training
print("\(training?.trainableParameters ?? 0) parameters trained beside \(demo.graph.parameterCount) that stay")
for point in training?.evaluations ?? [] { print(String(format: "  step %3d: %.4f nats on held-out text", point.step, point.loss)) }

// The directory is one that PEFT loads, too. Merged, the model needs no adapter.
let merged = directory.appending(path: "merged")
let report = try await Quantizer.load("demo").apply(AdapterMerging(adapter: adapter.path)).save(to: merged, overwrite: true)
if let divergence = report.accuracy?.klDivergence?.mean {
  print(String(format: "Merged: %.6f nats of KL divergence from the model with the adapter beside it", divergence))
}

// What lies in merged/unmerge gives the weights back as they were.
let again = RunSettings(output: directory.appending(path: "demo-again"), overwrite: true)
_ = try CompressionRun(model: ModelBundle(opening: merged.path).unmerged(), recipe: Recipe(passes: []), settings: again).execute()
let restored = try ModelBundle(opening: again.output.path)
let changed = try demo.graph.parameters.filter { try demo.weights.load($0.name).digest() != restored.weights.load($0.name).digest() }
precondition(changed.isEmpty, "unmerging changed \(changed.map(\.name))")
print("Unmerged: \(changed.count) of \(demo.graph.parameters.count) tensors differ from the original")
