import Calibration
import Compression
import Diagnostics
import Execution
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

  /// Everything that can be known before any weight is read: also that the budget can be met at all.
  func problem() throws -> (position: Int, problem: AllocationProblem, prepared: CompressionRun.Preparation) {
    let recipe = run.recipe
    let positions = recipe.passes.indices.filter { recipe.passes[$0] is any TargetedPass }
    guard positions.count == 1, let pass = recipe.passes[positions[0]] as? any TargetedPass else {
      throw RecipeError(
        "mixed precision by measurement", "needs exactly one pass that quantizes, the recipe has \(positions.count)", kind: .usage)
    }
    guard recipe.format.keepsQuantizedWeights else {
      throw RecipeError(
        "mixed precision by measurement", "means nothing in a format whose weights are all float32",
        remedy: "use --format compressed-tensors", kind: .usage)
    }
    guard recipe.calibration != nil else {
      throw RecipeError(
        "mixed precision by measurement", "needs text to measure sensitivities on", remedy: "give --calibration FILE", kind: .usage)
    }
    guard budget.limit > 0, budget.limit.isFinite else {
      throw RecipeError("--\(budget.name)", "of \(budget.limit) is not above 0", kind: .usage)
    }
    let prepared = try run.prepareWithinMemory()
    let problem = try AllocationProblem(pass.targets, for: prepared.graph)
    if case .bitsPerWeight(let limit) = budget {
      let least = problem.bitsPerWeight(problem.options.reduce(0) { $0 + ($1.map(\.bytes).min() ?? 0) })
      guard least <= limit else {
        throw RecipeError(
          "--target-bpw", "of \(limit) is less than the smallest choice needs, \(String(format: "%.4f", least)) bits per weight",
          remedy: "allow more, or use a larger --group-size", kind: .usage)
      }
    }
    return (positions[0], problem, prepared)
  }

  /// Measures, chooses, quantizes and reports.
  /// - Throws: as `CompressionRun.execute` does.
  public func execute() throws -> CompressionReport {
    let start = ContinuousClock.now
    let evaluation = try run.settings.evaluation.map { try MeasurementPlan($0, model: run.model) }
    let (position, problem, prepared) = try problem()
    return try run.reserving { output in
      let material = CalibrationMaterial()
      let costs = try costs(of: problem, at: position, prepared, in: output, sharing: material)
      let solver = AllocationSolver(problem: problem, costs: costs)
      var solution = solver.solve(budget)
      var history = AllocationHistory(budget: budget, solver: solver, seconds: (ContinuousClock.now - start).seconds)
      let held = try HeldOutText(for: run, calibratedOn: material.selection?.windows ?? [])
      while true {
        let candidate = try candidate(solution, of: problem, at: position)
        let quantized = try candidate.quantize(try candidate.prepareWithinMemory(), into: output, sharing: material)
        history.add(solution, measured: try held.divergence(of: quantized.written.graph, from: run.model.graph, for: run))
        guard let next = history.next(), next != solution else {
          return try candidate.finish(
            quantized, evaluation: evaluation,
            allocation: Outcome(section: history.section(held), warnings: history.warnings + held.warnings), since: start)
        }
        solution = next
        // Nothing of a choice that was given up may be taken for the next one's.
        output.clear()
      }
    }
  }

  /// What a dry run can say: the output at the widest uniform choice within the budget.
  public func plan() throws -> CompressionRun.Plan {
    let (position, problem, _) = try problem()
    var choices = problem.options.map { _ in 0 }
    for way in AllocationProblem.widths.indices {
      let next = problem.options.map { options in options.firstIndex { $0.way == way } ?? 0 }
      let bytes = zip(problem.options, next).reduce(0) { $0 + $1.0[$1.1].bytes }
      if case .bitsPerWeight(let limit) = budget, problem.bitsPerWeight(bytes) > limit { break }
      choices = next
    }
    return try candidate(.init(choices: choices, isWithinBudget: true), of: problem, at: position).plan()
  }

  private func candidate(_ solution: AllocationSolver.Solution, of problem: AllocationProblem, at position: Int) throws -> CompressionRun {
    var recipe = run.recipe
    if let pass = recipe.passes[position] as? any TargetedPass {
      recipe.passes[position] = pass.with(problem.targets(choosing: solution.choices))
    }
    return CompressionRun(model: run.model, recipe: recipe, settings: run.settings, progress: run.progress)
  }

  /// What every option of every group costs, from one pass over the model.
  private func costs(
    of problem: AllocationProblem, at position: Int, _ prepared: CompressionRun.Preparation, in output: OutputDirectory,
    sharing material: CalibrationMaterial
  ) throws -> [[Double]] {
    let recipe = run.recipe
    guard let plan = recipe.calibration, let pass = recipe.passes[position] as? any TargetedPass else { return [] }
    let needs = recipe.passes[...position].reduce(into: Set([PassNeed.calibration, .gradients])) { $0.formUnion($1.needs) }
    // Passes that rescale layers change what is known of them: then every run finds it anew.
    material.sharesSensitivity = recipe.passes.count == 1
    let calibration = try CalibrationWork(
      plan, for: run, graph: prepared.graph, needs: needs, sharing: material, spillingTo: output.partial)
    try calibration.begin(at: 0, restoring: nil)
    let context = PassContext(interpreter: run.interpreter, seed: recipe.seed)
    var graph = prepared.graph
    var earlier: [any BlockPass] = []
    for pass in recipe.passes[..<position] { earlier.append(try pass.begin(on: graph, in: context)) }
    var measured = try ChoiceCosts(ways: problem.ways.map { pass.with($0) }, on: graph, in: context)
    for (index, block) in graph.blocks.enumerated() {
      try Interruption.check()
      run.progress?(StageProgress(stage: "Measuring choices", completed: index, total: graph.blocks.count))
      let context = context.with(calibration.calibration(for: block, at: index))
      for worker in earlier.indices { try earlier[worker].apply(to: block, of: &graph, in: context) }
      try measured.measure(block, of: graph, in: context)
      try calibration.advance(past: block, in: graph)
      for id in graph.parameters(of: block) {
        graph[id].releasePages()
        graph.release(id)
      }
    }
    run.progress?(StageProgress(stage: "Measuring choices", completed: graph.blocks.count, total: graph.blocks.count))
    return zip(problem.groups, problem.options).map { group, options in
      options.map { option in group.layers.reduce(0) { $0 + (measured.costs[$1.weight]?[option.way] ?? 0) } }
    }
  }
}
