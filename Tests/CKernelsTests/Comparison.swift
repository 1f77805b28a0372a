import Testing

/// A small generator with a fixed seed (SplitMix64), so that every run tests the same numbers.
struct TestNumbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func floats(_ count: Int, _ range: ClosedRange<Float> = -2...2) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }
}

/// The first place where two arrays are farther apart than allowed, as text; nil when there is none. Not-a-numbers equal each other.
func firstDifference(_ actual: [Float], _ expected: [Double], tolerance: (Int) -> Double) -> String? {
  guard actual.count == expected.count else { return "\(actual.count) elements, not \(expected.count)" }
  for (index, (a, e)) in zip(actual, expected).enumerated() {
    if Double(a) == e || (a.isNaN && e.isNaN) { continue }
    if !(abs(Double(a) - e) <= tolerance(index)) { return "[\(index)] is \(a), not \(e)" }
  }
  return nil
}

func firstDifference(_ actual: [Float], _ expected: [Double], relative: Double, absolute: Double = 0) -> String? {
  firstDifference(actual, expected) { absolute + relative * abs(expected[$0]) }
}

func firstDifference(_ actual: [Float], _ expected: [Float], relative: Double, absolute: Double = 0) -> String? {
  firstDifference(actual, expected.map(Double.init), relative: relative, absolute: absolute)
}

/// The first place where two arrays differ by any bit, as text.
func firstDifferentBits(_ actual: [Float], _ expected: [Float]) -> String? {
  guard actual.count == expected.count else { return "\(actual.count) elements, not \(expected.count)" }
  return zip(actual, expected).enumerated().first { $1.0.bitPattern != $1.1.bitPattern }.map { "[\($0)] is \($1.0), not \($1.1)" }
}
