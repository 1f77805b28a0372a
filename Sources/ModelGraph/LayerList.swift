/// Numbers of layers as people write them: `0-3,5`.
public enum LayerList {
  /// Every number once, rising; nil where the text is no list of numbers and ranges below `count`.
  public static func parse(_ text: String, below count: Int) -> [Int]? {
    var numbers = Set<Int>()
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let bounds = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0.filter { $0 != " " }) }
      guard (1...2).contains(bounds.count), let first = bounds[0], let last = bounds[bounds.count - 1], first <= last,
        (0..<count).contains(first), last < count
      else { return nil }
      numbers.formUnion(first...last)
    }
    return numbers.sorted()
  }

  /// `0-3, 5` of 0, 1, 2, 3, 5.
  public static func text(_ numbers: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ")
  }
}
