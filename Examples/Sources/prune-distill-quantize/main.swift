// Prunes the demo model, lets the unpruned one teach it, and quantizes the result to 8 bits: the recipe prune-distill-w8 of the catalogue in Swift. Both
// write the same bytes.
//
//     swift run -c release --package-path Examples prune-distill-quantize
import DeepSeekOptimize
import Foundation

let output = FileManager.default.temporaryDirectory.appendingPathComponent("prune-distill-quantize")

// Options that are not named keep their defaults. The teacher is the model that the recipe begins on, the text that of calibration.
var distillation = Distillation()
distillation.featureSteps = 20
distillation.logitSteps = 100
distillation.policySteps = 0
distillation.robustnessSteps = 20
distillation.batchWindows = 8
distillation.sequenceLength = 128
distillation.learningRate = 2e-4

let recipe = Recipe(calibration: CalibrationPlan(text: "demo", samples: 64, sequenceLength: 256)) {
  StructuredPruning(mlp: 0.3, multiple: 1)
  distillation
  RoundToNearest(bits: 8, groupSize: 0)
}

var settings = RunSettings(output: output)
settings.overwrite = true
// Each pass is a stage: it reads the checkpoint that the one before it left, and its row holds what that left, against the source.
let report = try RecipeRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: settings).execute()
for pass in report.passes ?? [] {
  let perplexity = pass.perplexity.map { String(format: "%.2f", $0) } ?? "not measured"
  print("\(pass.name): \(pass.bytes ?? 0) bytes, perplexity \(perplexity)")
}
print(report.outputs.map { "\($0.sha256 ?? "")  \($0.name)" }.joined(separator: "\n"))
