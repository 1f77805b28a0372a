import Execution

/// A row-major matrix of doubles: what the reference computes with. A vector is one row.
struct Grid: Sendable {
  let rows: Int
  let columns: Int
  var values: [Double]

  init(rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns, values: Array(repeating: 0, count: rows * columns))
  }

  init(rows: Int, columns: Int, values: [Double]) {
    precondition(values.count == rows * columns)
    (self.rows, self.columns, self.values) = (rows, columns, values)
  }

  /// The same values: every float32 is a float64.
  init(_ matrix: Matrix) {
    let count = matrix.rows * matrix.columns
    self.init(rows: matrix.rows, columns: matrix.columns, values: (0..<count).map { Double(matrix.pointer[$0]) })
  }

  subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  func row(_ index: Int) -> ArraySlice<Double> { values[index * columns..<(index + 1) * columns] }

  func map(_ transform: (Double) -> Double) -> Grid { Grid(rows: rows, columns: columns, values: values.map(transform)) }

  /// Element by element; the two are of one size.
  func combined(with other: Grid, _ combine: (Double, Double) -> Double) -> Grid {
    precondition(rows == other.rows && columns == other.columns)
    return Grid(rows: rows, columns: columns, values: zip(values, other.values).map(combine))
  }

  /// Column by column with a vector.
  func combinedByColumn(with vector: Grid, _ combine: (Double, Double) -> Double) -> Grid {
    precondition(vector.values.count == columns)
    return Grid(rows: rows, columns: columns, values: values.indices.map { combine(values[$0], vector.values[$0 % columns]) })
  }

  /// Σ a·b over all elements.
  func dot(_ other: Grid) -> Double { zip(values, other.values).reduce(0) { $0 + $1.0 * $1.1 } }
}
