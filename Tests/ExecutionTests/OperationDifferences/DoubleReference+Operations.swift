import Execution
import Foundation
import ModelGraph

extension DoubleReference {
  /// x · Wᵀ
  static func product(_ x: Grid, _ weight: Grid) -> Grid {
    var result = Grid(rows: x.rows, columns: weight.rows)
    for row in 0..<x.rows {
      for column in 0..<weight.rows {
        var sum = 0.0
        for inner in 0..<x.columns { sum += x[row, inner] * weight[column, inner] }
        result[row, column] = sum
      }
    }
    return result
  }

  /// Every run of `width` values divided by the root of the mean of its squares, and times the gain.
  static func rmsNorm(_ x: Grid, _ gain: Grid, epsilon: Double, width: Int) -> Grid {
    var result = x
    for start in stride(from: 0, to: x.values.count, by: width) {
      let meanSquare = x.values[start..<start + width].reduce(0) { $0 + $1 * $1 } / Double(width)
      for offset in 0..<width {
        result.values[start + offset] = x.values[start + offset] / (meanSquare + epsilon).squareRoot() * gain.values[offset]
      }
    }
    return result
  }

  /// Every row with mean 0 and variance 1, times the gain, plus the bias.
  static func layerNorm(_ x: Grid, gain: Grid, bias: Grid, epsilon: Double) -> Grid {
    var result = x
    for row in 0..<x.rows {
      let mean = x.row(row).reduce(0, +) / Double(x.columns)
      let variance = x.row(row).reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.columns)
      for column in 0..<x.columns {
        result[row, column] = (x[row, column] - mean) / (variance + epsilon).squareRoot() * gain.values[column] + bias.values[column]
      }
    }
    return result
  }

  func addRow(_ x: Grid, _ table: Grid, _ choice: RowChoice) -> Grid {
    var result = x
    for (rows, position) in zip(sequenceRows, sequences.positions) {
      for row in rows {
        let added = if case .constant(let number) = choice { number } else { position + row - rows.lowerBound }
        for column in 0..<x.columns { result[row, column] += table[added, column] }
      }
    }
    return result
  }

  static func activation(_ kind: Activation, _ x: Double) -> Double {
    switch kind {
    case .silu: x / (1 + exp(-x))
    case .geluTanh: x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) / 2
    case .geluErf: x * (1 + erf(x / 2.0.squareRoot())) / 2
    case .relu: max(x, 0)
    case .reluSquared: max(x, 0) * max(x, 0)
    }
  }

  /// Softmax attention: a token sees itself and the tokens before it in its own sequence, within the window or the blocks that it selects.
  func attend(_ queries: Grid, _ keys: Grid, _ values: Grid, _ attention: Attention) -> Grid {
    let (width, valueWidth) = (attention.headDimension, attention.valueDimension)
    var result = Grid(rows: queries.rows, columns: attention.queryHeads * valueWidth)
    for rows in sequenceRows {
      for (row, head) in rows.flatMap({ row in (0..<attention.queryHeads).map { (row, $0) } }) {
        let shared = head * attention.keyValueHeads / attention.queryHeads
        let oldest = attention.slidingWindow.map { max(rows.lowerBound, row - $0 + 1) } ?? rows.lowerBound
        let newest = attention.isCausal ? row : rows.upperBound - 1
        let visible =
          attention.selection.map {
            blocks($0, of: row, in: rows, Array(queries.row(row))[head * width..<(head + 1) * width], keys, shared * width)
          }
          ?? Array(oldest...newest)
        let scores = visible.map { seen in
          var sum = 0.0
          for index in 0..<width { sum += queries[row, head * width + index] * keys[seen, shared * width + index] }
          return sum * Double(attention.scale)
        }
        let highest = scores.max() ?? 0
        let shares = scores.map { exp($0 - highest) }
        let total = shares.reduce(0, +)
        for (seen, share) in zip(visible, shares) {
          for index in 0..<valueWidth {
            result[row, head * valueWidth + index] += share / total * values[seen, shared * valueWidth + index]
          }
        }
      }
    }
    return result
  }

  /// The rows that a query sees: those of its own block up to itself, and of the whole blocks before it with the largest products of query and
  /// mean key; of equal ones the later.
  private func blocks(
    _ selection: BlockSelection, of row: Int, in rows: Range<Int>, _ query: ArraySlice<Double>, _ keys: Grid, _ first: Int
  ) -> [Int] {
    let own = (row - rows.lowerBound) / selection.block
    func start(_ block: Int) -> Int { rows.lowerBound + block * selection.block }
    let products = (0..<own).map { block in
      query.enumerated().reduce(0.0) { sum, entry in
        sum + entry.element * (start(block)..<start(block + 1)).reduce(0.0) { $0 + keys[$1, first + entry.offset] }
      }
    }
    let chosen = products.indices.sorted { (products[$0], $0) > (products[$1], $1) }.prefix(selection.count - 1).sorted()
    return chosen.flatMap { Array(start($0)..<start($0 + 1)) } + Array(start(own)...row)
  }

  /// The rows of each sequence.
  var sequenceRows: [Range<Int>] {
    var start = 0
    return sequences.lengths.map { length in
      defer { start += length }
      return start..<start + length
    }
  }

  /// What rounding to int8 codes adds: with this scale, or with one per row that takes the largest magnitude to 127.5. Which code a value
  /// falls to is decided in float32, as the format says.
  static func int8Rounding(of x: Grid, scale fixed: Float?) -> Grid {
    var result = Grid(rows: x.rows, columns: x.columns)
    for row in 0..<x.rows {
      let largest = Float(x.row(row).map(abs).max() ?? 0)
      let scale = fixed ?? (largest > 0 ? largest / 127.5 : 1)
      for column in 0..<x.columns {
        let code = min(max((Float(x[row, column]) / scale).rounded(.toNearestOrEven), -128), 127)
        result[row, column] = Double(code) * Double(scale) - x[row, column]
      }
    }
    return result
  }
}
