import CKernels
import Execution
import ModelGraph

/// How an input of linear layers differs behind compressed blocks from what it was, on the tokens that calibration works with and on some
/// that are held out.
final class CrossStatistics {
  /// Σ (x − x̂) x̂ᵀ over the tokens that are not held out.
  let cross: Matrix
  /// What those tokens weigh.
  fileprivate(set) var trainingWeight = 0.0
  let heldOutCross: Matrix
  /// Σ x̂ x̂ᵀ
  let heldOutGram: GramMatrix

  init(width: Int) {
    cross = Matrix(rows: width, columns: width)
    heldOutCross = Matrix(rows: width, columns: width)
    heldOutGram = GramMatrix(inputs: width)
  }
}

extension BlockCalibration {
  /// Runs the block on both streams of activations. The last tenth of the batches, at least one, is held out.
  /// - Parameter division: which sums this process will ask for; nil for all.
  /// - Returns: nil when there is no reference stream, or a single batch.
  func crossStatistics(
    in graph: ModelGraph, divided division: LayerDivision? = nil, pool: ThreadPool
  ) throws -> [ValueID: CrossStatistics]? {
    guard batchCount > 1, hasReference else { return nil }
    let heldOut = batchCount - max(1, batchCount / 10)
    var result: [ValueID: CrossStatistics] = [:]
    // What experts read is not looked at.
    let runner = interpreter.forSharedRows(wholeExperts: true)
    let (loaded, original) = try group.settle {
      (try LoadedBlock(block, of: graph, for: runner), try LoadedBlock(block, of: reference, for: runner))
    }
    var importance: [ValueID: [Float]] = [:]
    for (node, _) in graph.linears(of: block) where sensitivity != nil && importance[node.inputs[0]] == nil {
      importance[node.inputs[0]] = try sensitivity?.importance(readersOf: node.inputs[0], in: block, of: graph)
    }
    var first = 0
    let models = [(graph: reference, weights: original), (graph: graph, weights: loaded)]
    let owner = division.map { division in { (value: ValueID) in Int?.some(division.rank(of: value)) } }
    try forEachBatch(of: models.map(\.graph), readBy: owner) { batch in
      try models.indices.map { index in
        let input = try index == 0 ? runReferenceInput(batch) : runInput(batch)
        return try inputs(of: batch, from: input, in: models[index].graph, models[index].weights, by: runner)
      }
    } observer: { batch, runs in
      let (expected, actual) = (Self.inputs(of: runs[0]), Self.inputs(of: runs[1]))
      for (value, compressed) in actual where division?.owns(value) ?? true {
        guard let difference = expected[value] else { continue }
        // What is taken away is the compressed one: −1 times it is added.
        let ones = [Float](repeating: 1, count: compressed.columns)
        // Tokens count as they do in the Gram matrix that the step is divided by.
        let weights = importance[value].map { Array($0[first..<first + compressed.rows]) }
        let negative = compressed.copy(rows: 0..<compressed.rows)
        pool.ranges(of: compressed.rows, grain: 16) { rows in
          for row in rows {
            dso_scale_elements(negative.row(row), ones, -1, Int64(compressed.columns))
            dso_add(negative.row(row), difference.row(row), Int64(compressed.columns))
            if let weights { dso_scale_elements(difference.row(row), ones, weights[row], Int64(compressed.columns)) }
          }
        }
        let sums = result[value] ?? CrossStatistics(width: compressed.columns)
        result[value] = sums
        try GramMatrix.accumulateCross(difference, compressed, into: batch < heldOut ? sums.cross : sums.heldOutCross, pool: pool)
        if batch < heldOut {
          sums.trainingWeight += weights?.reduce(0) { $0 + Double($1) } ?? Double(compressed.rows)
        } else {
          try sums.heldOutGram.accumulate(compressed, weights: weights, pool: pool)
        }
      }
      first += layout(of: batch).lengths.reduce(0, +)
    }
    return result
  }

  /// What the block's linear layers read, those of experts aside: they may see other tokens in either model, so that their inputs have no
  /// counterpart row by row.
  private func inputs(
    of batch: Int, from input: Matrix, in graph: ModelGraph, _ weights: LoadedBlock, by runner: Interpreter
  ) throws -> RecordedRuns {
    var record = RecordedRuns(outputs: false)
    _ = try runner.run(block, of: graph, weights: weights, input: input, sequences: layout(of: batch)) { run in
      if run.rows == nil { record.append(run) }
    }
    return record
  }

  private static func inputs(of runs: [LinearRun]) -> [ValueID: Matrix] {
    Dictionary(runs.map { ($0.node.inputs[0], $0.input) }) { first, _ in first }
  }
}
