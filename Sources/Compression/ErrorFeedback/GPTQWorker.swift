import Diagnostics
import Distribution
import Execution
import ModelGraph
import Tensors

/// GPTQ at work: layers that read the same input share its factor.
struct GPTQWorker: BlockPass {
  let pass: GPTQ
  let schemes: [ParameterID: QuantizationScheme]
  private static let noHeldOutText =
    "weights were not moved towards the uncompressed model's outputs: that takes two batches of calibration text, one of them to hold out"
  private static let noFeedback = "eight-bit floats: every weight is rounded to its nearest, without feedback"
  private static let staysPut = "not moved towards the uncompressed model's outputs: held-out text says that it would not serve"

  var record = PassRecord(pass: GPTQ.identifier)

  var plan: [ParameterID: WeightStorage] { schemes.mapValues(WeightStorage.quantized) }

  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
    let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
    guard !targeted.isEmpty else { return }
    guard let calibration = context.calibration else {
      throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
    }
    // What all processes add up together is nobody's work; what experts read is so little that they are divided well without it.
    let tokens = context.interpreter.isTensorParallel ? 0 : calibration.tokens
    let division = calibration.division(of: targeted, in: graph) { GPTQ.divisionCost(ofInputs: $0, weights: $1, tokens: tokens) }
    let statistics = try calibration.statistics([.gram, .columns], in: graph, divided: division)
    let cross = pass.retarget ? try calibration.crossStatistics(in: graph, divided: division, pool: context.pool) : nil
    if pass.retarget, cross == nil, !record.warnings.contains(Self.noHeldOutText) { record.warnings.append(Self.noHeldOutText) }
    var dead: [(module: String, dead: Int, width: Int)] = []
    let first = record.layers.count
    var inputs: [ValueID] = []
    for (node, _) in targeted where !inputs.contains(node.inputs[0]) { inputs.append(node.inputs[0]) }
    let group = context.interpreter.group
    try group.settle {
      for input in inputs where division.owns(input) {
        let readers = targeted.filter { $0.node.inputs[0] == input }
        guard let statistics = statistics[input], let gram = try statistics.takeGram(pool: context.pool) else {
          throw CompressionError(readers[0].node.scope, "was not reached by calibration", kind: .badData)
        }
        let factor = try FeedbackFactor(
          of: gram, named: readers[0].node.scope, options: .init(actOrder: pass.actOrder, damping: pass.damping), pool: context.pool)
        dead.append((readers[0].node.scope, factor.deadInputs, factor.inputs))
        WorkMeter.add(WorkEstimate.factor(factor.inputs))
        let retargeting = cross?[input].map { Retargeting(factor: factor, statistics: $0, pool: context.pool) }
        for (node, id) in readers {
          try quantize(node, id, of: &graph, factor: factor, statistics: statistics, retargeting: retargeting, in: context)
        }
      }
    }
    if !group.isAlone {
      // In the order of one process.
      let ordered = inputs.flatMap { input in targeted.filter { $0.node.inputs[0] == input } }
      try record.exchange(ordered, division, of: &graph, notesFrom: first, in: group)
      dead = try inputs.map { input in
        let readers = targeted.filter { $0.node.inputs[0] == input }
        let own = dead.first { $0.module == readers[0].node.scope }
        let counts = try group.broadcast([own?.dead ?? 0, own?.width ?? 0], from: division.rank(of: input))
        return (readers[0].node.scope, counts[0], counts[1])
      }
    }
    record.warnOfDeadInputs(in: block, dead, consequence: "their weights are rounded to nearest")
  }

  private mutating func quantize(
    _ node: Node, _ id: ParameterID, of graph: inout ModelGraph, factor: FeedbackFactor, statistics: InputStatistics,
    retargeting: Retargeting?, in context: PassContext
  ) throws {
    guard let scheme = schemes[id] else { return }
    let tensor = try graph.denseWeight(id, of: node.scope)
    let (name, pool) = (graph[id].name, context.pool)
    let moved = retargeting?.move(.tensor(tensor))
    let weight = moved.map { WeightRows.matrix($0.weight) } ?? .tensor(tensor)
    let scaleType = graph[id].scaleType ?? weight.scaleType
    let free = FreeSearch(scheme, scaleType: scaleType)
    if !scheme.levels.takesFeedback, let search = free {
      try round(node, id, of: &graph, by: search, weight, statistics, moved: moved, pool: pool)
      return
    }
    let best: ErrorFeedback.Result
    let assemble: (UnsafePointer<UInt8>) throws(CompressionError) -> QuantizedTensor
    if let search = free {
      let start = try search.quantize(
        weight, named: name, importance: pass.scaleSearch == .mse ? nil : statistics.importance,
        elements: pass.scaleSearch == .column ? .column : .imatrix, pool: pool)
      let grid = ShiftedGrid(start, weight, pool: pool)
      best = try round(grid.weight, id, named: name, grids: grid.table, factor: factor, in: context)
      assemble = { codes throws(CompressionError) in try grid.assemble(codes: codes, named: name, pool: pool) }
    } else {
      var grids = try table(
        weight, named: name, scheme: scheme, scaleType: graph[id].scaleType, importance: statistics.meanSquare, pool: pool)
      if isTried(scheme) { grids = try widened(grids, weight, named: name, factor: factor, pool: pool) }
      best = try round(weight, id, named: name, grids: grids, factor: factor, in: context)
      assemble = { [grids] codes throws(CompressionError) in try grids.assemble(codes: codes, named: name, pool: pool) }
    }
    let result = try best.codes.withUnsafeBufferPointer { codes in
      guard let codes = codes.baseAddress else { throw CompressionError(name, "has no weights", kind: .badData) }
      return try assemble(codes)
    }
    WorkMeter.add(WorkEstimate.searchedWeight * Double(tensor.shape.elementCount))
    let notes = [statistics.shortage, best.fallback, moved.flatMap { $0.isNeeded && $0.share == 0 ? Self.staysPut : nil }].compactMap { $0 }
    record.layers.append(
      PassRecord.Layer(
        module: node.scope, scheme: scheme, weights: tensor.shape.elementCount, clipped: best.clipped,
        fallback: notes.isEmpty ? nil : notes.joined(separator: "; "), retargetedShare: moved?.share,
        calibrationTokens: graph.expert(of: node) == nil ? nil : statistics.tokens, isScarce: statistics.shortage != nil))
    try graph.replace(id, with: .quantized(result))
  }

  /// A weight whose codes no step rounds to.
  private mutating func round(
    _ node: Node, _ id: ParameterID, of graph: inout ModelGraph, by search: FreeSearch, _ weight: WeightRows,
    _ statistics: InputStatistics, moved: Retargeting.Outcome?, pool: ThreadPool
  ) throws {
    let (result, clipped) = try search.quantizeCounting(
      weight, named: graph[id].name, importance: statistics.importance, elements: .imatrix, pool: pool)
    let notes = [statistics.shortage, Self.noFeedback].compactMap { $0 }
    record.layers.append(
      PassRecord.Layer(
        module: node.scope, scheme: result.scheme, weights: result.shape.elementCount, clipped: clipped,
        fallback: notes.joined(separator: "; "),
        retargetedShare: moved?.share, calibrationTokens: graph.expert(of: node) == nil ? nil : statistics.tokens,
        isScarce: statistics.shortage != nil))
    try graph.replace(id, with: .quantized(result))
  }

  /// Codes on a table whose scales are settled.
  private func round(
    _ weight: WeightRows, _ id: ParameterID, named name: String, grids: GridTable, factor: FeedbackFactor, in context: PassContext
  ) throws -> ErrorFeedback.Result {
    let pool = context.pool
    let descent = CoordinateDescent(sweeps: sweeps(at: grids.scheme))
    var note: String?
    if pass.outputSensitivity, factor.hasFactor {
      if let sensitivity = try context.calibration?.sensitivity?.factor(of: id) {
        let outputs = try FeedbackFactor(
          of: sensitivity, side: .outputs, named: name, options: .init(actOrder: true, damping: pass.outputDamping), pool: pool)
        WorkMeter.add(WorkEstimate.factor(outputs.inputs))
        if outputs.hasFactor {
          let result = try TwoSidedFeedback().quantize(weight, named: name, grids: grids, inputs: factor, outputs: outputs, pool: pool)
          return descent.improve(result, of: weight, grids: grids, inputs: factor, outputs: outputs, pool: pool)
        }
        note = outputs.fallback.map { "output sensitivity: " + $0 }
      } else {
        note = "output sensitivity: not measured for this layer: rounded without it"
      }
    }
    let result = try ErrorFeedback().quantize(weight, named: name, grids: grids, factor: factor, pool: pool)
    var best = descent.improve(result, of: weight, grids: grids, inputs: factor, pool: pool)
    if let note { best.fallback = [best.fallback, note].compactMap { $0 }.joined(separator: "; ") }
    return best
  }

  private func table(
    _ weight: WeightRows, named name: String, scheme: QuantizationScheme, scaleType: DataType?, importance: [Float], pool: ThreadPool
  ) throws(CompressionError) -> GridTable {
    switch pass.scaleSearch {
    case .extremes:
      return try GridTable(rule: .signedAbsmax, weight: weight, named: name, scheme: scheme, scaleType: scaleType, pool: pool)
    case .mse: return try GridTable(searching: weight, named: name, scheme: scheme, scaleType: scaleType, pool: pool)
    case .column, .imatrix:
      return try GridTable(
        searching: weight, named: name, scheme: scheme, importance: importance,
        elements: pass.scaleSearch == .imatrix ? .imatrix : .column, scaleType: scaleType, pool: pool)
    }
  }

  private func sweeps(at scheme: QuantizationScheme) -> Int {
    switch pass.polish {
    case .automatic: scheme.bits <= 3 || pass.outputSensitivity ? 3 : 0
    case .sweeps(let count): count
    }
  }

  private func isTried(_ scheme: QuantizationScheme) -> Bool {
    switch pass.rangeTrials {
    case .automatic: scheme.bits <= 3
    case .always: true
    case .never: false
    }
  }

  /// Feedback moves targets beyond the range that suits the weights themselves. Every output takes the width that serves it best.
  private func widened(
    _ grids: GridTable, _ weight: WeightRows, named name: String, factor: FeedbackFactor, pool: ThreadPool
  ) throws(CompressionError) -> GridTable {
    var (chosen, errors) = (grids, try ErrorFeedback().quantize(weight, named: name, grids: grids, factor: factor, pool: pool).rowErrors)
    let step: Float = grids.scheme.bits <= 2 ? 0.1 : 0.05
    for trial in 1...4 {
      let wider = grids.scaled(by: 1 + step * Float(trial))
      let result = try ErrorFeedback().quantize(weight, named: name, grids: wider, factor: factor, pool: pool)
      for row in errors.indices where result.rowErrors[row] < errors[row] {
        errors[row] = result.rowErrors[row]
        for group in row * grids.groups..<(row + 1) * grids.groups { chosen.scales[group] = wider.scales[group] }
      }
    }
    return chosen
  }

  func operations(on block: Block, of graph: ModelGraph, calibratedOn text: CalibrationExtent) -> Double {
    let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
    guard !targeted.isEmpty else { return 0 }
    var sum = WorkEstimate.statistics(of: block, in: graph, tokens: text.tokens)
    for (_, weight) in targeted {
      let (rows, columns) = (graph[weight].shape[0], graph[weight].shape[graph[weight].shape.rank - 1])
      let bits = schemes[weight]?.bits ?? 8
      let isTwoSided = pass.outputSensitivity
      sum += WorkEstimate.searchedWeight * Double(rows) * Double(columns) + WorkEstimate.factor(columns)
      if isTwoSided { sum += WorkEstimate.factor(rows) }
      sum += WorkEstimate.feedback(rows: rows, columns: columns, isTwoSided: isTwoSided)
      // Wider ranges are tried at few bits.
      if bits <= 3 { sum += 5 * WorkEstimate.feedback(rows: rows, columns: columns, isTwoSided: false) }
      if bits <= 3 || isTwoSided { sum += 3 * WorkEstimate.sweep(rows: rows, columns: columns, isTwoSided: isTwoSided) }
    }
    return sum
  }
}

extension GridTable {
  /// The same table with its ranges that much wider, in the stored type.
  func scaled(by factor: Float) -> GridTable {
    var copy = self
    for index in copy.scales.indices {
      let scale = scaleType.rounding(scales[index] * factor)
      if scale != 0, scale.isFinite { copy.scales[index] = scale }
    }
    return copy
  }
}
