import Compression
import Diagnostics
import Distribution
import Execution
import Foundation
import Reporting
import Tensors

/// What each stage is worth: the same student trained with stages left out, and on the text alone for as long, over several seeds. A stage that is
/// left out gives its time to the teacher's distributions, so that all have the same; these themselves give it to none.
struct DistillationAblation {
  private let run: DistillationRun
  private let teacher: ModelBundle
  private let output: OutputDirectory

  init(_ run: DistillationRun, teacher: ModelBundle, output: OutputDirectory) {
    (self.run, self.teacher, self.output) = (run, teacher, output)
  }

  /// - Parameter whole: the stages as they went, whose times say what a step takes.
  func variants(whole: [CompressionReport.Distillation.Stage]) throws -> [CompressionReport.Distillation.Variant] {
    var seconds: [String: Double] = [:]
    for stage in whole { seconds[stage.name] = (stage.seconds ?? 0) / Double(max(1, stage.steps ?? 1)) }
    // Every process has a clock of its own: the first one's counts.
    seconds = try run.interpreter.group.broadcast(value: seconds, from: 0)
    let steps = run.distillation.stepsByPhase.filter { $0.value > 0 }
    let total = steps.reduce(0) { $0 + Double($1.value) * (seconds[$1.key] ?? 0) }
    var variants: [CompressionReport.Distillation.Variant] = []
    for variant in Self.variants(of: steps) {
      var results: [(figures: CompressionReport.Distillation.Figures, seconds: Double, steps: Int)] = []
      for seed in 0..<run.distillation.ablationSeeds {
        try run.interpreter.group.checkInterruption()
        results.append(try train(variant.phases, named: variant.name, seed: seed, of: steps, stepSeconds: seconds, total: total))
      }
      variants.append(Self.summary(variant.name, results))
    }
    return variants
  }

  /// Every stage, each one left out, and the text alone.
  private static func variants(of steps: [String: Int]) -> [(name: String, phases: Set<String>)] {
    let all = Set(steps.keys)
    let order = ["features", "logits", "policy", "robustness"].filter(all.contains)
    return [("all stages", all)] + order.map { ("without \($0)", all.subtracting([$0])) }
      + [("cross-entropy", ["cross-entropy"])]
  }

  private func train(
    _ phases: Set<String>, named name: String, seed: Int, of steps: [String: Int], stepSeconds: [String: Double], total: Double
  ) throws -> (figures: CompressionReport.Distillation.Figures, seconds: Double, steps: Int) {
    // Held-out windows are those of the run: what differs is the order of the text, and what is drawn.
    let material = try DistillationMaterial(
      run.distillation, student: run.model, teacher: teacher, data: run.data(), seed: run.seed, interpreter: run.interpreter,
      spillingTo: output.partial, draws: SeededRandom.value(seed: run.seed ^ 0xAB1A, index: UInt64(seed)))
    var chosen = steps.filter { phases.contains($0.key) }
    if phases.contains("cross-entropy") {
      let pace = try self.pace(material)
      chosen = ["cross-entropy": max(1, Int((total / pace).rounded()))]
    } else if let pace = stepSeconds["logits"], pace > 0, let own = chosen["logits"] {
      let used = chosen.reduce(0) { $0 + Double($1.value) * (stepSeconds[$1.key] ?? 0) }
      chosen["logits"] = own + Int(((total - used) / pace).rounded())
    }
    let student = try DistilledStudent(run.model.graph, teacher: teacher.graph, pool: run.interpreter.pool)
    let report = run.progress
    let loop = try DistillationLoop(material, student, steps: chosen, journal: nil) { progress in
      report?(
        StageProgress(stage: "\(name), seed \(seed + 1): \(progress.stage)", completed: progress.completed, total: progress.total))
    }
    loop.stopCheck = run.stopCheck
    try loop.run()
    return (try loop.figures(), loop.seconds, chosen.reduce(0) { $0 + $1.value })
  }

  /// Seconds of a step on the text alone.
  private func pace(_ material: DistillationMaterial) throws -> Double {
    let student = try DistilledStudent(run.model.graph, teacher: teacher.graph, pool: run.interpreter.pool)
    let loop = try DistillationLoop(
      material, student, steps: ["cross-entropy": 6], journal: nil, progress: nil)
    loop.stopCheck = run.stopCheck
    try loop.run()
    return try run.interpreter.group.broadcast(value: max(1e-3, loop.seconds / 6), from: 0)
  }

  private static func summary(
    _ name: String, _ results: [(figures: CompressionReport.Distillation.Figures, seconds: Double, steps: Int)]
  ) -> CompressionReport.Distillation.Variant {
    func mean(_ values: [Double?]) -> Double? {
      let found = values.compactMap { $0 }
      return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
    }
    func deviation(_ values: [Double?]) -> Double? {
      let found = values.compactMap { $0 }
      guard found.count > 1, let mean = mean(found) else { return nil }
      return (found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(found.count - 1)).squareRoot()
    }
    let figures = results.map(\.figures)
    var averaged = CompressionReport.Distillation.Figures(
      klDivergence: mean(figures.map(\.klDivergence)), topTokenAgreement: mean(figures.map(\.topTokenAgreement)),
      perplexity: mean(figures.map(\.perplexity)), centeredKernelAlignment: mean(figures.map(\.centeredKernelAlignment)),
      featureDistance: mean(figures.map(\.featureDistance)), noisyKLDivergence: mean(figures.map(\.noisyKLDivergence)),
      ownTextKLDivergence: mean(figures.map(\.ownTextKLDivergence)))
    if let first = figures.first {
      averaged.adversarial = first.adversarial.indices.compactMap { index in
        mean(figures.map { $0.adversarial.indices.contains(index) ? $0.adversarial[index].klDivergence : nil }).map {
          .init(epsilon: first.adversarial[index].epsilon, klDivergence: $0)
        }
      }
    }
    return CompressionReport.Distillation.Variant(
      name: name, seeds: results.count, steps: results.first?.steps, seconds: mean(results.map { $0.seconds }), figures: averaged,
      klDeviation: deviation(figures.map(\.klDivergence)), perplexityDeviation: deviation(figures.map(\.perplexity)))
  }
}
