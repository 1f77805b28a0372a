import CKernels
import Diagnostics
import Distribution
import Execution
import ModelGraph

/// Measures models on a text, with the kernels that run them.
public struct Evaluator: Sendable {
  var stream: ForwardStream
  let progress: ProgressHandler?
  /// Bytes of activations that may be kept between blocks; a longer text is measured in several passes over the weights.
  public var activationBudget = 512 << 20

  /// Rows that a block works on together; figures never depend on it.
  public var batchRows: Int {
    get { stream.batchRows }
    set { stream.batchRows = newValue }
  }

  public init(interpreter: Interpreter, progress: ProgressHandler? = nil) {
    stream = ForwardStream(interpreter: interpreter)
    self.progress = progress
  }

  /// Scores a model on the text, against a reference when one is given.
  /// - Parameters:
  ///   - keyValues: the form of the cache that the model's keys and values go through, as in generation; the reference's stay float32.
  ///     So a model against itself shows what the cache alone costs.
  ///   - layerErrors: told, for the first batch, what quantization does to every layer's output. Of several processes the first one's is.
  public func accuracy(
    of model: ModelGraph, keyValues: KeyValueQuantization = .none, reference: ModelGraph? = nil, on text: EvaluationText,
    layerErrors: LayerErrorMeter? = nil
  ) throws -> Accuracy {
    if let reference, reference.vocabularySize != model.vocabularySize {
      throw EvaluationError(
        "reference", "has a vocabulary of \(reference.vocabularySize), the model one of \(model.vocabularySize)",
        remedy: "compare models that share a tokenizer", kind: .usage)
    }
    var scores = (model: ModelScores(), reference: reference == nil ? nil : ModelScores())
    var divergences: [Double] = []
    var agreements = 0
    let width = model[model.boundary(of: model.blocks[model.blocks.count - 1]).input].width ?? 1
    let perChunk = max(1, activationBudget / (text.context * width * 4 * (reference == nil ? 1 : 2)))
    let chunks = stride(from: 0, to: text.windows.count, by: perChunk).map { start in
      Array(text.windows[start..<min(start + perChunk, text.windows.count)])
    }
    let modelStream = stream(keyValues: keyValues)
    // What generation rounds: latents, where it keeps those.
    let running = keyValues == .none ? model : model.absorbingLatentAttention()
    let work = Self.meter(model, reference, chunks: chunks.map { $0.reduce(0) { $0 + $1.count } }, progress)
    func advance(_ part: Int) throws {
      work.meter.begin(part)
      try group.checkInterruption()
    }
    for (index, windows) in chunks.enumerated() {
      let first = index * work.parts
      let rows = try work.meter.measure {
        var referenceStates: [ForwardStream.Hidden]?
        work.meter.begin(first)
        if let reference {
          let meter = index == 0 ? layerErrors : nil
          referenceStates = try stream.hidden(
            of: reference, windows: windows,
            observer: meter.map { meter in
              { _, run in try meter.observe(run, interpreter: stream.interpreter) }
            }, observed: 0..<1,
            progress: { try advance(first + $0) }, divided: true)
        }
        let done = first + (reference?.body.count ?? 0)
        let states = try modelStream.hidden(of: running, windows: windows, progress: { try advance(done + $0) }, divided: true)
        let own = try score(states, of: model, against: referenceStates, of: reference, windows: windows)
        return try gather(own, of: windows)
      }
      for row in rows {
        scores.model.losses.append(row.loss)
        scores.model.correct.append(row.correct)
        if reference != nil {
          scores.reference?.losses.append(row.referenceLoss)
          scores.reference?.correct.append(row.referenceCorrect)
          divergences.append(row.divergence)
          agreements += row.agrees ? 1 : 0
        }
      }
    }
    work.meter.finish()
    try Self.requireFinite(scores.model.losses, "model", model)
    try Self.requireFinite((scores.reference?.losses ?? []) + divergences, "reference", reference ?? model)
    return Accuracy(
      text: text.name, context: text.context, model: scores.model, reference: scores.reference, divergences: divergences,
      agreements: agreements)
  }

  /// The parts of a measurement, for every chunk: the blocks of both models, then both heads.
  private static func meter(
    _ model: ModelGraph, _ reference: ModelGraph?, chunks: [Int], _ progress: ProgressHandler?
  ) -> (meter: WorkMeter, parts: Int) {
    let models = [reference, model].compactMap { $0 }
    func costs(_ tokens: Int) -> [Double] {
      let bodies = models.flatMap { model in model.body.map { model.operations(of: $0, tokens: tokens) } }
      return bodies + [models.reduce(0) { $0 + $1.operations(of: $1.blocks[$1.blocks.count - 1], tokens: tokens) }]
    }
    let parts = models.reduce(1) { $0 + $1.body.count }
    return (
      WorkMeter("Measuring", costs: chunks.flatMap(costs), tokens: chunks.reduce(0, +), progress: progress), parts
    )
  }

  /// Tells the meter what quantization does to every layer's output on the first windows of the text.
  /// - Parameter prepared: the model that was quantized, where it is not the reference itself: one whose weights were rotated before.
  public func measureLayers(_ layerErrors: LayerErrorMeter, of prepared: ModelGraph, on text: EvaluationText) throws {
    try measureLayers(layerErrors, of: prepared, on: Array(text.windows.prefix(max(1, batchRows / max(1, text.context)))))
  }

  /// The same on these windows.
  public func measureLayers(_ layerErrors: LayerErrorMeter, of prepared: ModelGraph, on windows: [[Int32]]) throws {
    _ = try stream.hidden(
      of: prepared, windows: windows,
      observer: { _, run in try layerErrors.observe(run, interpreter: stream.interpreter) })
  }

  /// The stream of a model whose cache has another form.
  private func stream(keyValues: KeyValueQuantization) -> ForwardStream {
    var interpreter = stream.interpreter
    interpreter.keyValues = keyValues
    var stream = ForwardStream(interpreter: interpreter)
    stream.batchRows = batchRows
    return stream
  }

  private static func requireFinite(_ values: [Double], _ side: String, _ graph: ModelGraph) throws {
    guard !values.allSatisfy(\.isFinite) else { return }
    let cause = graph.notFinite().map { "\($0.subject) \($0.problem)" } ?? "its weights are numbers, but some are far out of range"
    throw EvaluationError(
      "the \(side)", "gives logits that are not finite: \(cause)", remedy: "repair the checkpoint, or fetch it again", kind: .badData)
  }

  /// One scored prediction.
  private struct Row: BitwiseCopyable {
    var loss = 0.0, referenceLoss = 0.0, divergence = 0.0
    var correct = false, referenceCorrect = false, agrees = false
  }

  /// The processes that divide the batches.
  private var group: ProcessGroup { stream.interpreter.group }

  /// The predictions of every batch, in order, from those that each process has scored.
  private func gather(_ own: [[Row]], of windows: [[Int32]]) throws -> [Row] {
    if group.isAlone { return own.flatMap { $0 } }
    var own = own[...]
    return try stream.batches(of: windows).indices.flatMap { batch in
      try group.broadcast(group.owns(batch) ? own.popFirst() ?? [] : [], from: group.owner(of: batch))
    }
  }

  /// Runs the heads tile by tile, so that the logits of the whole text never exist at once.
  /// - Returns: the predictions of each of these states.
  private func score(
    _ states: [ForwardStream.Hidden], of model: ModelGraph, against referenceStates: [ForwardStream.Hidden]?,
    of reference: ModelGraph?, windows: [[Int32]]
  ) throws -> [[Row]] {
    let head = try HeadRunner(model, stream.interpreter)
    let referenceHead = try reference.map { try HeadRunner($0, stream.interpreter) }
    let vocabulary = model.vocabularySize
    let tile = max(8, min(256, (32 << 20) / (vocabulary * 4)))
    return try states.enumerated().map { index, state in
      var rows: [Row] = []
      // The last row of a window predicts nothing that is known.
      var scored: [(row: Int, target: Int32)] = []
      var first = 0
      for window in state.windows {
        for position in 0..<windows[window].count - 1 { scored.append((first + position, windows[window][position + 1])) }
        first += windows[window].count
      }
      for start in stride(from: 0, to: scored.count, by: tile) {
        try Interruption.check()
        let part = Array(scored[start..<min(start + tile, scored.count)])
        let logits = try head.logits(state.matrix, rows: part.map(\.row))
        let referenceLogits = try referenceHead.flatMap { head in
          try referenceStates.map { try head.logits($0[index].matrix, rows: part.map(\.row)) }
        }
        rows += summarize(logits, referenceLogits, targets: part.map(\.target))
      }
      return rows
    }
  }

  private func summarize(_ logits: Matrix, _ reference: Matrix?, targets: [Int32]) -> [Row] {
    let count = Int64(logits.columns)
    var rows = [Row](repeating: Row(), count: targets.count)
    rows.withUnsafeMutableBufferPointer { rows in
      // Each task writes its own row.
      nonisolated(unsafe) let rows = rows
      stream.interpreter.pool.ranges(of: targets.count) { range in
        for index in range {
          let target = Int(targets[index])
          let own = logits.row(index)
          let summary = dso_summarize_logits(own, count)
          var row = Row()
          row.loss = summary.log_sum_exp - Double(own[target])
          row.correct = summary.argmax == Int64(target)
          if let reference {
            let other = reference.row(index)
            let base = dso_summarize_logits(other, count)
            row.referenceLoss = base.log_sum_exp - Double(other[target])
            row.referenceCorrect = base.argmax == Int64(target)
            row.agrees = base.argmax == summary.argmax
            // Rounding may leave it a hair below zero; NaN stays NaN, to be found below.
            let divergence = dso_kl_divergence(other, base.log_sum_exp, own, summary.log_sum_exp, count)
            row.divergence = divergence < 0 ? 0 : divergence
          }
          rows[index] = row
        }
      }
    }
    return rows
  }
}

/// A model's last block, kept loaded while tiles of rows pass through it.
struct HeadRunner {
  let graph: ModelGraph
  let block: Block
  let weights: LoadedBlock
  let interpreter: Interpreter

  init(_ graph: ModelGraph, _ interpreter: Interpreter) throws {
    self.graph = graph
    self.interpreter = interpreter
    block = graph.blocks[graph.blocks.count - 1]
    weights = try LoadedBlock(block, of: graph)
  }

  /// Logits of some rows of the hidden states.
  func logits(_ states: Matrix, rows: [Int]) throws -> Matrix {
    let input = Matrix(rows: rows.count, columns: states.columns)
    for (index, row) in rows.enumerated() { input.row(index).update(from: states.row(row), count: states.columns) }
    return try interpreter.run(
      block, of: graph, weights: weights, input: input, sequences: SequenceLayout(lengths: [rows.count]))
  }
}
