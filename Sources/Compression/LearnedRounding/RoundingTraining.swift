import CKernels
import Diagnostics
import Execution
import ModelGraph

/// Trains the rounding of one block's weights.
struct RoundingTraining {
  let pass: AutoRound
  let block: Block
  /// The model with the block's weights quantized as training starts.
  let graph: ModelGraph
  let calibration: BlockCalibration
  let interpreter: Interpreter
  let loss: BlockLoss
  let seed: UInt64

  /// The loss on the fixed set per token: of the start, and of what was kept.
  struct Outcome {
    var start: Double
    var best: Double
    /// Whether the fixed set was trained on too.
    var judgesTrainedText: Bool
  }

  func run(_ weights: [LearnedWeight]) throws -> Outcome {
    let targets = try self.targets()
    let set = TrainingSet(layouts: (0..<calibration.batchCount).map(calibration.layout), windows: pass.batchWindows)
    let loaded = try LoadedBlock(block, of: graph)
      .overriding(Dictionary(uniqueKeysWithValues: weights.map { ($0.id, $0.values) }), of: graph)
    let wanted = Set(weights.map(\.id))
    var outcome = Outcome(start: try judge(set.fixed, loaded, targets), best: 0, judgesTrainedText: set.judgesTrainedText)
    outcome.best = outcome.start
    guard outcome.start.isFinite else {
      throw CompressionError(
        block.name, "cannot be trained: its error is not finite",
        remedy: "the model's weights or activations hold NaN, infinities or values far out of range", kind: .badData)
    }
    var draw = TrainingSet.Draw(set.drawn, seed: seed)
    let first = pass.learningRate > 0 ? pass.learningRate : 1 / Float(pass.iterations)
    let firstRange = pass.rangeRate > 0 ? pass.rangeRate : first
    // The last steps are the smallest: the best is found among them, as a rule at the end.
    let checks = Set((4...8).map { pass.iterations * $0 / 8 })
    for iteration in 0..<pass.iterations {
      try Interruption.check()
      var sums: [ParameterID: Matrix] = [:]
      for windows in draw.next(windows: pass.batchWindows) {
        let input = windows.rows(of: try calibration.input(windows.batch))
        let tape = try interpreter.runRecording(block, of: graph, weights: loaded, input: input, sequences: windows.layout)
        let target = windows.rows(of: try targets.load(windows.batch))
        let gradient = loss.evaluate(tape.output, target, firstToken: windows.firstToken, pool: interpreter.pool).gradient
        sums = try interpreter.backward(tape, outputGradient: gradient, wanting: wanted, inputGradient: false, addingTo: sums).parameters
      }
      let left = 1 - Float(iteration) / Float(pass.iterations)
      let rates = dso_learned_rates(offset: first * left, factor: firstRange * left, shift: firstRange * left, reach: 0.5)
      for weight in weights {
        if let gradient = sums[weight.id] { weight.step(against: gradient, rates: rates, pool: interpreter.pool) }
      }
      guard checks.contains(iteration + 1) else { continue }
      let now = try judge(set.fixed, loaded, targets)
      if now < outcome.best {
        outcome.best = now
        for weight in weights { weight.keep(pool: interpreter.pool) }
      }
    }
    return outcome
  }

  /// What the uncompressed model has behind the block.
  private func targets() throws -> ActivationStore {
    let source = calibration.reference
    let store = try calibration.makeStore(width: source[source.boundary(of: block).output].width ?? 0)
    let weights = try LoadedBlock(block, of: source)
    for batch in 0..<calibration.batchCount {
      try Interruption.check()
      guard let input = try calibration.referenceInput(batch) else {
        throw CompressionError(
          block.name, "cannot be trained: the uncompressed model's activations were not kept", kind: .badConfiguration)
      }
      try store.store(
        try interpreter.run(block, of: source, weights: weights, input: input, sequences: calibration.layout(of: batch)), for: batch)
    }
    return store
  }

  private func judge(_ parts: [TrainingWindows], _ weights: LoadedBlock, _ targets: ActivationStore) throws -> Double {
    var (total, tokens) = (0.0, 0)
    for windows in parts {
      let input = windows.rows(of: try calibration.input(windows.batch))
      let output = try interpreter.run(block, of: graph, weights: weights, input: input, sequences: windows.layout)
      let target = windows.rows(of: try targets.load(windows.batch))
      total += loss.evaluate(output, target, firstToken: windows.firstToken, pool: interpreter.pool).loss
      tokens += output.rows
    }
    return total / Double(max(1, tokens))
  }
}
