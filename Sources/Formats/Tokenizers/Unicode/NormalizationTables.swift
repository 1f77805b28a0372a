/// Decompositions, compositions and combining classes.
struct NormalizationTables: Sendable {
  static let shared = NormalizationTables()

  private var canonical: [UInt32: (UInt32, UInt32?)] = [:]
  private var compatible: [UInt32: [UInt32]] = [:]
  private var compositions: [UInt64: UInt32] = [:]
  private var classes: [UInt32: UInt8] = [:]
  /// Starters that may be the second half of a composition.
  private var composingStarters: Set<UInt32> = []

  private init() {
    var numbers = PackedNumbers(NormalizationData.classes)
    var scalar: UInt32 = 0
    while let gap = numbers.next(), let extent = numbers.next(), let value = numbers.next() {
      scalar += gap
      for _ in 0...extent {
        classes[scalar] = UInt8(truncatingIfNeeded: value)
        scalar += 1
      }
    }
    numbers = PackedNumbers(NormalizationData.canonical)
    scalar = 0
    while let head = numbers.next(), let first = numbers.next() {
      scalar += head / 3
      let second = head % 3 == 0 ? nil : numbers.next()
      canonical[scalar] = (first, second)
      guard head % 3 == 2, let second else { continue }
      compositions[UInt64(first) << 32 | UInt64(second)] = scalar
      if classes[second] == nil { composingStarters.insert(second) }
    }
    numbers = PackedNumbers(NormalizationData.compatible)
    scalar = 0
    while let gap = numbers.next(), let count = numbers.next() {
      scalar += gap
      compatible[scalar] = (0..<count).compactMap { _ in numbers.next() }
    }
  }

  func combiningClass(of scalar: UInt32) -> UInt8 { scalar < 0x300 ? 0 : classes[scalar] ?? 0 }

  /// Whether a starter can compose with what stands before it.
  func mayCompose(_ scalar: UInt32) -> Bool {
    Hangul.vowels.contains(scalar) || Hangul.finals.contains(scalar) || composingStarters.contains(scalar)
  }

  private enum Hangul {
    static let syllables: ClosedRange<UInt32> = 0xAC00...0xD7A3
    static let leads: ClosedRange<UInt32> = 0x1100...0x1112
    static let vowels: ClosedRange<UInt32> = 0x1161...0x1175
    /// Without U+11A7, which stands for no final consonant.
    static let finals: ClosedRange<UInt32> = 0x11A8...0x11C2
  }

  /// Calls `body` with each scalar of the full decomposition.
  func decompose(_ scalar: UInt32, compatible isCompatible: Bool, _ body: (UInt32) -> Void) {
    if scalar < 0xA0 {
      body(scalar)
    } else if Hangul.syllables.contains(scalar) {
      let index = scalar - Hangul.syllables.lowerBound
      body(Hangul.leads.lowerBound + index / 588)
      body(Hangul.vowels.lowerBound + index % 588 / 28)
      if index % 28 != 0 { body(Hangul.finals.lowerBound + index % 28 - 1) }
    } else if isCompatible, let parts = compatible[scalar] {
      for part in parts { body(part) }
    } else if let (first, second) = canonical[scalar] {
      decompose(first, compatible: isCompatible, body)
      if let second { decompose(second, compatible: isCompatible, body) }
    } else {
      body(scalar)
    }
  }

  /// The scalar that two scalars compose to.
  func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if Hangul.leads.contains(first), Hangul.vowels.contains(second) {
      return Hangul.syllables.lowerBound + (first - Hangul.leads.lowerBound) * 588 + (second - Hangul.vowels.lowerBound) * 28
    }
    if Hangul.syllables.contains(first), (first - Hangul.syllables.lowerBound) % 28 == 0, Hangul.finals.contains(second) {
      return first + second - Hangul.finals.lowerBound + 1
    }
    return compositions[UInt64(first) << 32 | UInt64(second)]
  }
}
