import Execution
import Tensors

/// Whole windows of a calibration batch that are trained on together.
struct TrainingWindows {
  let batch: Int
  /// Rows of the batch.
  let rows: Range<Int>
  let layout: SequenceLayout
  /// The place of the first token in the calibration stream.
  let firstToken: Int

  var count: Int { layout.lengths.count }

  /// The rows of a batch's activations, shared where they are all of them.
  func rows(of matrix: Matrix) -> Matrix { rows == 0..<matrix.rows ? matrix : matrix.copy(rows: rows) }
}

/// Calibration windows as training takes them: parts to draw from, and a fixed set that judges what came of it.
struct TrainingSet {
  let drawn: [TrainingWindows]
  let fixed: [TrainingWindows]
  /// Whether there were too few windows to keep the fixed set out of training.
  let judgesTrainedText: Bool

  /// With enough windows the fixed set, an eighth of them and at most 32 windows or so, is put aside; with few it is drawn from too.
  init(layouts: [SequenceLayout], windows limit: Int) {
    var parts: [TrainingWindows] = []
    var token = 0
    for (batch, layout) in layouts.enumerated() {
      var (index, row) = (0, 0)
      while index < layout.lengths.count {
        let lengths = Array(layout.lengths[index..<min(index + limit, layout.lengths.count)])
        let rows = lengths.reduce(0, +)
        parts.append(
          TrainingWindows(batch: batch, rows: row..<row + rows, layout: SequenceLayout(lengths: lengths), firstToken: token + row))
        index += lengths.count
        row += rows
      }
      token += layout.rows
    }
    let windows = parts.reduce(0) { $0 + $1.count }
    let perPart = max(1, windows / max(1, parts.count))
    let wanted = max(1, min(parts.count / 8, 32 / perPart))
    let spacing = max(1, parts.count / wanted)
    let isFixed = parts.indices.map { $0 % spacing == spacing - 1 && $0 / spacing < wanted }
    fixed = zip(parts, isFixed).filter(\.1).map(\.0)
    judgesTrainedText = parts.count < 16
    drawn = judgesTrainedText ? parts : zip(parts, isFixed).filter { !$0.1 }.map(\.0)
  }

  /// Parts in an order of their own for every round through the text, without end.
  struct Draw {
    private let parts: [TrainingWindows]
    private var random: SeededRandom
    private var order: [Int] = []

    init(_ parts: [TrainingWindows], seed: UInt64) {
      self.parts = parts
      random = SeededRandom(seed: seed)
    }

    /// Parts of at least that many windows.
    mutating func next(windows: Int) -> [TrainingWindows] {
      var result: [TrainingWindows] = []
      var count = 0
      while count < windows, !parts.isEmpty {
        if order.isEmpty { shuffle() }
        let part = parts[order.removeLast()]
        result.append(part)
        count += part.count
      }
      return result
    }

    private mutating func shuffle() {
      order = Array(parts.indices)
      for index in order.indices.reversed() where index > 0 { order.swapAt(index, Int(random.next() % UInt64(index + 1))) }
    }
  }
}
