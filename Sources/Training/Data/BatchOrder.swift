import Diagnostics
import Tensors

/// In which order each epoch goes through the examples: a function of the seed and the epoch, on every platform.
public struct BatchOrder: Sendable, Hashable {
  public let count: Int
  public let seed: UInt64
  /// The order of the first epoch, easy before hard, when there is one.
  public let curriculum: [Int]?

  /// - Parameter curriculum: every example's number once, in the order of the first epoch; later epochs are shuffled.
  public init(count: Int, seed: UInt64, curriculum: [Int]? = nil) throws(TrainingError) {
    if let curriculum {
      var seen = Array(repeating: false, count: max(0, count))
      for example in curriculum where seen.indices.contains(example) { seen[example] = true }
      guard curriculum.count == count, seen.allSatisfy({ $0 }) else {
        throw TrainingError(
          "curriculum", "does not name each of the \(count) examples once", remedy: "give an order of all examples", kind: .usage)
      }
    }
    self.count = max(0, count)
    self.seed = seed
    self.curriculum = curriculum
  }

  /// Orders by difficulty, the easiest first; equal ones stay in order, and what is not a number counts as hardest.
  public init(difficulties: [Double], seed: UInt64) throws(TrainingError) {
    func key(_ place: Int) -> Double { difficulties[place].isNaN ? .infinity : difficulties[place] }
    let order = difficulties.indices.sorted { key($0) != key($1) ? key($0) < key($1) : $0 < $1 }
    try self.init(count: difficulties.count, seed: seed, curriculum: order)
  }

  /// The examples' numbers in the order of an epoch, the first being 0.
  public func order(epoch: Int) -> [Int] {
    if epoch == 0, let curriculum { return curriculum }
    // Fisher and Yates, over numbers of our own: the standard library's shuffle may change.
    var random = SeededRandom(seed: SeededRandom.value(seed: seed, index: UInt64(bitPattern: Int64(epoch))))
    var order = Array(0..<count)
    for place in order.indices.dropFirst().reversed() {
      // The upper half of the product is below the bound; its bias is 2^-64 of it.
      let other = Int(random.next().multipliedFullWidth(by: UInt64(place + 1)).high)
      order.swapAt(place, other)
    }
    return order
  }
}
