/// A set of Unicode code points as sorted, disjoint closed ranges with gaps between them.
struct ScalarSet: Sendable, Equatable {
  private(set) var ranges: [ClosedRange<UInt32>]

  static let maximum: UInt32 = 0x10FFFF
  static let all = ScalarSet(0...maximum)
  static let none = ScalarSet(ranges: [])

  private init(ranges: [ClosedRange<UInt32>]) { self.ranges = ranges }

  init(_ range: ClosedRange<UInt32>) { ranges = [range] }

  init(_ scalar: UInt32) { ranges = [scalar...scalar] }

  /// Any ranges, in any order, overlapping or not.
  init(merging unsorted: [ClosedRange<UInt32>]) {
    ranges = []
    for range in unsorted.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = ranges.last, range.lowerBound <= last.upperBound &+ 1 {
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        ranges.append(range)
      }
    }
  }

  /// A generated table: gap to the previous range and length - 1, alternating.
  init(packed text: String) {
    var numbers = PackedNumbers(text)
    var start: UInt32 = 0
    ranges = []
    while let gap = numbers.next(), let extent = numbers.next() {
      ranges.append(start + gap...start + gap + extent)
      start += gap + extent + 1
    }
  }

  var isEmpty: Bool { ranges.isEmpty }

  func contains(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].lowerBound <= scalar
  }

  func union(_ other: ScalarSet) -> ScalarSet {
    if isEmpty { return other }
    return other.isEmpty ? self : ScalarSet(merging: ranges + other.ranges)
  }

  var complement: ScalarSet {
    var result: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= Self.maximum { result.append(next...Self.maximum) }
    return ScalarSet(ranges: result)
  }

  func intersection(_ other: ScalarSet) -> ScalarSet {
    var result: [ClosedRange<UInt32>] = []
    var left = 0
    var right = 0
    while left < ranges.count, right < other.ranges.count {
      let low = max(ranges[left].lowerBound, other.ranges[right].lowerBound)
      let high = min(ranges[left].upperBound, other.ranges[right].upperBound)
      if low <= high { result.append(low...high) }
      if ranges[left].upperBound < other.ranges[right].upperBound { left += 1 } else { right += 1 }
    }
    return ScalarSet(ranges: result)
  }

  func subtracting(_ other: ScalarSet) -> ScalarSet { intersection(other.complement) }

  func isDisjoint(with other: ScalarSet) -> Bool { intersection(other).isEmpty }
}
