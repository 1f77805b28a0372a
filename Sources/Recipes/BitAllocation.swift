import Calibration
import Compression
import Diagnostics
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting

/// Mixed precision by measurement: what every width would cost each group of layers is measured, the best choice within a budget is found
/// exactly, quantized, and measured on text that was held out; what prediction and measurement differ by corrects the next choice.
///
/// The result is an ordinary recipe with an override for each layer that differs: it reproduces the output without solving anything.
public struct BitAllocation {
  /// The recipe's one pass that quantizes names everything but the bits.
  let run: CompressionRun
  let budget: BitBudget
  /// Choices that are quantized and measured at most, for a budget of KL divergence.
  static let rounds = 3
  /// What of a budget of KL divergence is aimed at on held-out text, so that other text of the kind stays within it too.
  static let aim = 0.95
  /// Below this share of the aim a choice is larger than it needs to be.
  static let slack = 0.9

  public init(_ run: CompressionRun, budget: BitBudget) {
    self.run = run
    self.budget = budget
  }

  /// What came out, for the report.
  struct Outcome {
    let section: CompressionReport.Allocation?
    let warnings: [String]
  }

  /// What is chosen for: the one pass that quantizes, and what there is to choose from.
  struct Subject {
    /// Of the pass in the recipe.
    let position: Int
    let pass: any TargetedPass
    let calibration: CalibrationPlan
    let problem: AllocationProblem
    let prepared: CompressionRun.Preparation
  }

  /// Everything that can be known before any weight is read: also that the budget can be met at all, and that every choice can be measured.
  func subject() throws -> Subject {
    let recipe = run.recipe
    let (position, pass) = try targetedPass()
    guard recipe.format.keepsQuantizedWeights else {
      throw RecipeError(
        "mixed precision by measurement", "means nothing in a format whose weights are all float32",
        remedy: "use --format compressed-tensors", kind: .usage)
    }
    guard let calibration = recipe.calibration else {
      throw RecipeError(
        "mixed precision by measurement", "needs text to measure sensitivities on", remedy: "give --calibration FILE", kind: .usage)
    }
    guard budget.limit > 0, budget.limit.isFinite else {
      throw RecipeError("--\(budget.name)", "\(budget.limit) is not above 0", kind: .usage)
    }
    let prepared = try run.prepareWithinMemory()
    let graph = prepared.graph
    let encoding = prepared.layout.encoding
    let problem = try AllocationProblem(
      pass.targets, for: graph, bytes: AllocationProblem.bytes(in: encoding), stack: encoding.stack)
    let measurable = Set(ChoiceCosts.measurable(in: graph).flatMap { graph.linears(of: $0).map(\.weight) })
    for (group, options) in problem.options.enumerated() where options.count > 1 {
      guard problem.groups[group].layers.allSatisfy({ measurable.contains($0.weight) }) else { throw problem.unmeasured(group) }
    }
    if case .bitsPerWeight(let limit) = budget {
      let least = problem.bitsPerWeight(problem.options.reduce(0) { $0 + ($1.map(\.bytes).min() ?? 0) })
      guard least <= limit else {
        throw RecipeError(
          "--target-bpw", "\(limit) is less than the smallest choice needs, \(String(format: "%.4f", least)) bits per weight",
          remedy: "allow more, or use a larger --group-size", kind: .usage)
      }
    }
    return Subject(position: position, pass: pass, calibration: calibration, problem: problem, prepared: prepared)
  }

  /// The one pass whose bits can be chosen.
  private func targetedPass() throws(RecipeError) -> (position: Int, pass: any TargetedPass) {
    let passes = run.recipe.passes.enumerated().compactMap { index, pass in (pass as? any TargetedPass).map { (index, $0) } }
    if passes.count == 1, let only = passes.first { return only }
    let able = PassCatalog.passes.filter { $0 is any TargetedPass.Type }.map { $0.identifier }.sorted().joined(separator: ", ")
    guard passes.isEmpty else {
      throw RecipeError(
        "mixed precision by measurement", "needs exactly one pass that quantizes, the recipe has \(passes.count)",
        remedy: "keep one of \(passes.map { type(of: $0.1).identifier }.joined(separator: ", "))", kind: .usage)
    }
    let names = run.recipe.passes.map { type(of: $0).identifier }.joined(separator: ", ")
    throw RecipeError(
      "mixed precision by measurement", "cannot choose bits for \(names.isEmpty ? "a recipe without passes" : names)",
      remedy: "quantize by one that it can be combined with: \(able)", kind: .usage)
  }

  /// Measures, chooses, quantizes and reports.
  ///
  /// A choice that is kept although others were quantized after it is quantized once more: an output holds one choice at a time.
  /// - Throws: as `CompressionRun.execute` does.
  public func execute() throws -> CompressionReport {
    try run.model.requirePredictions(for: "--mixed-precision auto")
    let start = ContinuousClock.now
    try run.model.requireValues()
    try run.checkPlace()
    let evaluation = try run.settings.evaluation.map { try EvaluationPlan($0, model: run.model) }
    let subject = try subject()
    return try run.reserving { output in
      let material = CalibrationMaterial()
      let solver = try AllocationSolver(
        problem: subject.problem, predictions: predictions(for: subject, in: output, sharing: material))
      var solution = try solver.solve(budget)
      var history = AllocationHistory(budget: budget, solver: solver, seconds: (ContinuousClock.now - start).seconds)
      let held = try HeldOutText(for: run, calibratedOn: material.selection?.windows ?? [])
      func quantize(_ choices: [Int]) throws -> (candidate: CompressionRun, quantized: CompressionRun.Quantized) {
        let candidate = candidate(choices, of: subject)
        return (candidate, try candidate.quantize(try candidate.prepareWithinMemory(), into: output, sharing: material))
      }
      var result = try quantize(solution.choices)
      history.add(solution, measured: try held.divergence(of: result.quantized.written.graph, from: run.reference(), for: run))
      while let next = try history.next() {
        solution = next
        // Nothing of a choice that was given up may be taken for the next one's.
        output.clear()
        result = try quantize(solution.choices)
        history.add(solution, measured: try held.divergence(of: result.quantized.written.graph, from: run.reference(), for: run))
      }
      if let kept = history.kept.map({ history.rounds[$0].solution }), kept.choices != solution.choices {
        output.clear()
        result = try quantize(kept.choices)
      }
      return try result.candidate.finish(
        result.quantized, evaluation: evaluation,
        allocation: Outcome(
          section: history.section(heldOutTokens: held.isHeldOut ? held.text.predictions : nil),
          warnings: subject.problem.warnings + history.warnings + held.warnings), since: start)
    }
  }

  /// What a dry run can say: the output at the widest uniform choice within the budget.
  public func plan(for ranks: RankLayout? = nil) throws -> CompressionRun.Plan {
    let subject = try subject()
    let problem = subject.problem
    var choices = problem.options.map { _ in 0 }
    for way in problem.ways.indices.prefix(AllocationProblem.widths.count) {
      // Where the format refuses a width, the next lower one.
      let next = problem.options.map { options in options.lastIndex { $0.way <= way } ?? 0 }
      let bytes = zip(problem.options, next).reduce(0) { $0 + $1.0[$1.1].bytes }
      if case .bitsPerWeight(let limit) = budget, problem.bitsPerWeight(bytes) > limit { break }
      choices = next
    }
    return try candidate(choices, of: subject).plan(for: ranks)
  }

  private func candidate(_ choices: [Int], of subject: Subject) -> CompressionRun {
    var recipe = run.recipe
    recipe.passes[subject.position] = subject.pass.with(subject.problem.targets(choosing: choices))
    return CompressionRun(model: run.model, recipe: recipe, settings: run.settings, progress: run.progress)
  }

  /// What every option of every group costs, from one pass over the model; nil where a layer's cost could not be measured.
  private func predictions(
    for subject: Subject, in output: OutputDirectory, sharing material: CalibrationMaterial
  ) throws -> [[Double?]] {
    let recipe = run.recipe
    let (position, problem) = (subject.position, subject.problem)
    let needs = recipe.blockPasses[...position].reduce(into: Set([PassNeed.calibration, .gradients])) { $0.formUnion($1.needs) }
    // Passes that rescale layers change what is known of them: then every run finds it anew.
    material.sharesSensitivity = recipe.passes.count == 1
    var graph = subject.prepared.graph
    let calibration = try CalibrationWork(
      subject.calibration, for: run, graph: graph, needs: needs, sharing: material, spillingTo: output.partial)
    try calibration.begin(at: 0, restoring: nil)
    let context = PassContext(interpreter: run.interpreter, seed: recipe.seed)
    var earlier: [any BlockPass] = []
    for pass in recipe.blockPasses[..<position] { earlier.append(try pass.begin(on: graph, in: context)) }
    var measured = try ChoiceCosts(ways: problem.ways.map { subject.pass.with($0) }, on: graph, in: context)
    // Statistics, and the text sent on; rounding with feedback for every way that there is.
    let meter = WorkMeter(
      "Measuring choices", blocksOf: graph, tokens: calibration.selection.windows.tokenCount, runs: 2,
      perWeight: Double(problem.ways.count) * WorkEstimate.choice, progress: run.progress)
    for (index, block) in graph.blocks.enumerated() {
      try Interruption.check()
      meter.begin(index)
      let context = context.with(calibration.calibration(for: block, at: index))
      try meter.measure {
        for worker in earlier.indices { try earlier[worker].apply(to: block, of: &graph, in: context) }
        try measured.measure(block, of: graph, in: context)
        try calibration.advance(past: block, in: graph)
      }
      for id in graph.parameters(of: block) {
        graph[id].releasePages()
        graph.release(id)
      }
    }
    meter.finish()
    return zip(problem.groups, problem.options).map { group, options in
      // Of experts that share a tensor those decide that the text came to.
      let reached = group.layers.filter { !graph[$0.weight].role.isRoutedExpert || measured.costs[$0.weight] != nil }
      return options.map { option in
        let costs = reached.compactMap { measured.costs[$0.weight]?[option.way] }
        return !costs.isEmpty && costs.count == reached.count ? costs.reduce(0, +) : nil
      }
    }
  }
}
