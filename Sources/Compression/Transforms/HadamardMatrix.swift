/// Hadamard matrices of orders that are no power of two, by Paley's constructions (1933) over fields of prime order.
enum HadamardMatrix {
  /// A matrix of ±1 with orthogonal rows, `[order, order]`; nil for an order that no construction here gives.
  /// - Parameter order: 1, or a multiple of 4 up to 256.
  static func values(order: Int) -> [Float]? {
    if order == 1 { return [1] }
    guard order >= 4, order <= 256, order % 4 == 0 else { return nil }
    if isPrime(order - 1) { return first(order) }
    if isPrime(order / 2 - 1), (order / 2 - 1) % 4 == 1 { return second(order) }
    return nil
  }

  /// The order whose Kronecker product with a power of two is the largest Hadamard matrix that fills `width`, and what it fills: all of it
  /// where that is possible, else blocks of the largest power of two.
  static func decomposition(of width: Int) -> (order: Int, size: Int) {
    let power = width & -width
    let odd = width / power
    if odd == 1 { return (1, width) }
    if power >= 4, odd <= 64, values(order: 4 * odd) != nil { return (4 * odd, width) }
    return (1, power)
  }

  /// I + S for a prime q = order − 1 that leaves 3 when divided by 4, S the bordered matrix of its quadratic characters.
  private static func first(_ order: Int) -> [Float] {
    let characters = quadraticCharacters(order - 1)
    var matrix = [Float](repeating: 0, count: order * order)
    for row in 0..<order {
      for column in 0..<order {
        let border: Float = row == 0 ? 1 : -1
        let entry: Float =
          row == column ? 1 : row == 0 || column == 0 ? border : characters[(row - column + order - 1) % (order - 1)]
        matrix[row * order + column] = entry
      }
    }
    return matrix
  }

  /// C ⊗ [1 1; 1 −1] + I ⊗ [1 −1; −1 −1] for a prime q = order/2 − 1 that leaves 1, C the symmetric conference matrix.
  private static func second(_ order: Int) -> [Float] {
    let half = order / 2
    let characters = quadraticCharacters(half - 1)
    var matrix = [Float](repeating: 0, count: order * order)
    for row in 0..<half {
      for column in 0..<half {
        let conference: Float =
          row == column ? 0 : row == 0 || column == 0 ? 1 : characters[(row - column + half - 1) % (half - 1)]
        let block: [Float] = row == column ? [1, -1, -1, -1] : [conference, conference, conference, -conference]
        for (index, value) in block.enumerated() { matrix[(2 * row + index / 2) * order + 2 * column + index % 2] = value }
      }
    }
    return matrix
  }

  /// 1 for the squares modulo q, −1 for the others, 0 for 0.
  private static func quadraticCharacters(_ q: Int) -> [Float] {
    var characters = [Float](repeating: -1, count: q)
    for value in 1..<q { characters[value * value % q] = 1 }
    characters[0] = 0
    return characters
  }

  private static func isPrime(_ number: Int) -> Bool {
    number >= 2 && !(2..<number).prefix { $0 * $0 <= number }.contains { number % $0 == 0 }
  }
}
