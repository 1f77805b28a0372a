import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Training

/// The rows that are trained on, in the order of every step, and those that are held out.
struct FinetuneData {
  let rows: [TrainingRow]
  let heldOut: [TrainingRow]
  let statistics: TrainingDataStatistics
  let order: BatchOrder
  let rowsPerStep: Int
  let settings: FinetuneSettings

  /// - Parameter evaluation: a file of its own; nil to hold out a share of the examples.
  init(_ file: URL, evaluation: URL?, encoder: ExampleEncoder, settings: FinetuneSettings) throws {
    let (examples, statistics) = try TrainingFile(file).examples(using: encoder)
    let count = examples.count
    var (kept, held) = (Array(examples.indices), [Int]())
    let all = try BatchOrder(count: count, seed: SeededRandom.value(seed: settings.seed, index: 0xE7A1)).order(epoch: 1)
    if evaluation == nil, settings.heldOut > 0 {
      let size = Int((Double(count) * settings.heldOut).rounded(.up))
      guard size < count else {
        throw TrainingError(
          file.path, "has \(count) examples, too few to hold any out", remedy: "give --eval, or --held-out 0", kind: .badData)
      }
      held = Array(all.prefix(size)).sorted()
      kept = Array(all.dropFirst(size)).sorted()
    }
    let packer = try TrainingPacker(length: encoder.maximumLength)
    let inOrder = try TrainingPacker(length: encoder.maximumLength, strategy: .inOrder)
    // Packed once: then every epoch has the same rows, and as many steps.
    let first = settings.shuffles ? all.filter(Set(kept).contains) : kept
    rows = try (settings.shuffles ? packer : inOrder).pack(examples, order: first)
    var heldRows = try inOrder.pack(examples, order: held)
    if let evaluation {
      let (texts, _) = try TrainingFile(evaluation).examples(using: encoder)
      heldRows = try inOrder.pack(texts, order: Array(texts.indices))
    }
    var tokens = 0
    heldOut = Array(
      heldRows.prefix { row in
        defer { tokens += row.tokens.count }
        return tokens < max(1, settings.evaluationTokens)
      })
    self.statistics = statistics
    self.settings = settings
    rowsPerStep = settings.batchSize * settings.accumulation
    order = try BatchOrder(count: rows.count, seed: settings.seed)
  }

  private init(_ other: FinetuneData, order: BatchOrder) {
    (rows, heldOut, statistics) = (other.rows, other.heldOut, other.statistics)
    (rowsPerStep, settings) = (other.rowsPerStep, other.settings)
    self.order = order
  }

  /// The same rows, the first pass from easy to hard.
  func ordered(byDifficulty difficulties: [Double]) throws -> FinetuneData {
    FinetuneData(self, order: try BatchOrder(difficulties: difficulties, seed: settings.seed))
  }

  /// Steps of one pass.
  var stepsPerEpoch: Int { (rows.count + rowsPerStep - 1) / rowsPerStep }

  var steps: Int {
    settings.steps > 0 ? settings.steps : max(1, Int((Double(stepsPerEpoch) * settings.epochs).rounded()))
  }

  /// The batches of a step, counted from 0: a function of the step alone.
  func batches(step: Int) -> [TrainingBatch] {
    let (epoch, place) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
    let order = settings.shuffles || settings.curriculum ? self.order.order(epoch: epoch) : Array(rows.indices)
    let chosen = order[place * rowsPerStep..<min(order.count, (place + 1) * rowsPerStep)]
    return Self.batches(chosen.map { rows[$0] }, size: settings.batchSize)
  }

  static func batches(_ rows: [TrainingRow], size: Int) -> [TrainingBatch] {
    stride(from: 0, to: rows.count, by: max(1, size)).flatMap { begin in
      TrainingBatch.cut(Array(rows[begin..<min(rows.count, begin + max(1, size))]), rows: \.tokens.count).map {
        TrainingBatch(rows: $0[...])
      }
    }
  }
}

extension TrainingBatch {
  fileprivate init(rows: ArraySlice<TrainingRow>) {
    var sequences: [(tokens: [Int32], isTarget: [Bool])] = []
    for row in rows {
      var start = 0
      for length in row.lengths {
        sequences.append((Array(row.tokens[start..<start + length]), Array(row.isTarget[start..<start + length])))
        start += length
      }
    }
    self.init(sequences)
  }
}
