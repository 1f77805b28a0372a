/// The assignment of rows to columns with the largest sum of scores (Kuhn 1955, by shortest augmenting paths after Jonker & Volgenant 1987).
enum Assignment {
  /// - Parameter score: of a row and a column, both below `count`; finite.
  /// - Returns: the column of every row.
  static func best(_ count: Int, score: (Int, Int) -> Float) -> [Int] {
    var rowPotential = [Double](repeating: 0, count: count + 1)
    var columnPotential = rowPotential
    // Numbers from 1 on; 0 stands for none.
    var rowOfColumn = [Int](repeating: 0, count: count + 1)
    var before = rowOfColumn
    for row in stride(from: 1, through: count, by: 1) {
      rowOfColumn[0] = row
      var column = 0
      var least = [Double](repeating: .infinity, count: count + 1)
      var isUsed = [Bool](repeating: false, count: count + 1)
      repeat {
        isUsed[column] = true
        let current = rowOfColumn[column]
        var (step, next) = (Double.infinity, 0)
        for other in 1...count where !isUsed[other] {
          let reduced = -Double(score(current - 1, other - 1)) - rowPotential[current] - columnPotential[other]
          if reduced < least[other] { (least[other], before[other]) = (reduced, column) }
          if least[other] < step { (step, next) = (least[other], other) }
        }
        for other in 0...count {
          if isUsed[other] {
            rowPotential[rowOfColumn[other]] += step
            columnPotential[other] -= step
          } else {
            least[other] -= step
          }
        }
        column = next
      } while rowOfColumn[column] != 0
      repeat {
        let previous = before[column]
        rowOfColumn[column] = rowOfColumn[previous]
        column = previous
      } while column != 0
    }
    var result = [Int](repeating: 0, count: count)
    for column in stride(from: 1, through: count, by: 1) { result[rowOfColumn[column] - 1] = column - 1 }
    return result
  }
}
