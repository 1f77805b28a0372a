import Foundation

/// Maps values to positions along one axis and chooses its ticks.
struct PlotScale {
  enum Kind { case linear, logarithmic }

  struct Tick: Equatable {
    var value: Double
    var label: String
  }

  let kind: Kind
  /// Ascending and finite; positive when logarithmic.
  let domain: ClosedRange<Double>
  /// Positions of the two ends of the domain.
  var start: Double
  var end: Double

  /// Covers the values exactly. Values that cannot be shown (not finite, not positive on a logarithmic scale) are passed over;
  /// a single value gets room on both sides.
  init(_ kind: Kind, covering values: some Sequence<Double>, start: Double = 0, end: Double = 1) {
    // Wider, and the quotient or difference of the ends would overflow.
    let shown = values.filter { kind == .linear ? abs($0) < 1e300 : $0 > 1e-140 && $0 < 1e140 }
    var low = shown.min() ?? (kind == .linear ? 0 : 1)
    var high = shown.max() ?? (kind == .linear ? 1 : 10)
    switch kind {
    case .linear:
      // Below this width the ticks could not be told apart as numbers.
      let least = max(max(abs(low), abs(high)) * 1e-9, 1e-290)
      if high - low <= least {
        let room = max(abs(low) * 0.05, least, 1e-12)
        (low, high) = (low - room, high + room)
      }
    case .logarithmic:
      if high / low < 1.0001 { (low, high) = (low / 2, high * 2) }
    }
    self.kind = kind
    domain = low...high
    self.start = start
    self.end = end
  }

  /// The same scale, its ends moved outward to round numbers.
  func rounded(ticks: Int = 5) -> PlotScale {
    switch kind {
    case .linear:
      let step = Self.niceStep(domain.upperBound - domain.lowerBound, ticks)
      // The small allowance keeps 0.3 from becoming 0.4 when 0.3 / 0.1 comes out as 3.0000000000000004.
      let low = (domain.lowerBound / step + 1e-9).rounded(.down) * step
      let high = (domain.upperBound / step - 1e-9).rounded(.up) * step
      return PlotScale(kind, covering: [low, high], start: start, end: end)
    case .logarithmic:
      let candidates = domain.upperBound / domain.lowerBound > 200 ? [1.0] : [1, 2, 5]
      let low = Self.logSteps(candidates, near: domain.lowerBound).last { $0 <= domain.lowerBound * 1.000001 }
      let high = Self.logSteps(candidates, near: domain.upperBound).first { $0 >= domain.upperBound * 0.999999 }
      return PlotScale(kind, covering: [low ?? domain.lowerBound, high ?? domain.upperBound], start: start, end: end)
    }
  }

  /// The position of a value; values outside the domain sit at its ends.
  func position(_ value: Double) -> Double {
    let clamped = min(max(value.isNaN ? domain.lowerBound : value, domain.lowerBound), domain.upperBound)
    let fraction =
      switch kind {
      case .linear: (clamped - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
      case .logarithmic: log(clamped / domain.lowerBound) / log(domain.upperBound / domain.lowerBound)
      }
    return start + fraction * (end - start)
  }

  /// About `count` ticks at round numbers inside the domain, labelled with the decimals that the step needs.
  func ticks(_ count: Int = 5) -> [Tick] {
    kind == .linear ? linearTicks(count) : logarithmicTicks(count)
  }

  private func linearTicks(_ count: Int) -> [Tick] {
    let step = Self.niceStep(domain.upperBound - domain.lowerBound, count)
    let decimals = min(12, max(0, -Int((log10(step) + 1e-9).rounded(.down))))
    let first = (domain.lowerBound / step - 1e-9).rounded(.up)
    let last = (domain.upperBound / step + 1e-9).rounded(.down)
    guard abs(first) < 1e12, abs(last) < 1e12, last >= first, last - first < 100 else { return [] }
    return (Int(first)...Int(last)).map { index in
      let value = Double(index) * step
      return Tick(value: value, label: NumberText.fixed(value, decimals))
    }
  }

  private func logarithmicTicks(_ count: Int) -> [Tick] {
    let low = Int((log10(domain.lowerBound) - 1e-9).rounded(.up))
    let high = Int((log10(domain.upperBound) + 1e-9).rounded(.down))
    if high - low >= 2 {
      let stride = max(1, ((high - low) + count - 1) / max(1, count))
      // Multiples of the stride, so that 1 is among the labelled decades whenever it is in range.
      return (low...high).filter { $0.isMultiple(of: stride) }.map { Tick(value: pow(10, Double($0)), label: Self.decade($0)) }
    }
    let steps = [1.0, 2, 5].flatMap { mantissa in (low - 1...high + 1).map { mantissa * pow(10, Double($0)) } }.sorted()
    let inside = steps.filter { $0 >= domain.lowerBound * 0.999999 && $0 <= domain.upperBound * 1.000001 }
    guard inside.count >= 2 else { return linearTicks(count) }
    return inside.map { Tick(value: $0, label: NumberText.plain($0)) }
  }

  /// The step of 1, 2 or 5 times a power of ten that cuts a span into about `count` parts.
  static func niceStep(_ span: Double, _ count: Int) -> Double {
    let raw = span / Double(max(1, count))
    let unit = pow(10, log10(raw).rounded(.down))
    let mantissa = raw / unit
    return unit * (mantissa < 1.5 ? 1 : mantissa < 3.5 ? 2 : mantissa < 7.5 ? 5 : 10)
  }

  private static func logSteps(_ mantissas: [Double], near value: Double) -> [Double] {
    let exponent = Int(log10(value).rounded(.down))
    return (exponent - 1...exponent + 1).flatMap { power in mantissas.map { $0 * pow(10, Double(power)) } }
  }

  /// `0.01`, `1`, `100`, and beyond those `10⁻⁵`.
  static func decade(_ exponent: Int) -> String {
    (-2...3).contains(exponent) ? NumberText.plain(pow(10, Double(exponent))) : "10" + NumberText.superscript(exponent)
  }
}

extension NumberText {
  /// As few digits as tell it: `0.5`, `20`, `1,000`.
  static func plain(_ value: Double) -> String {
    let decimals = (0...8).first { abs(value * pow(10, Double($0))).truncatingRemainder(dividingBy: 1) < 1e-6 }
    return decimals.map { fixed(value, $0) } ?? significant(value, 3)
  }

  static func superscript(_ value: Int) -> String {
    let digits: [Character] = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"]
    return (value < 0 ? "⁻" : "") + String(String(value.magnitude).compactMap { $0.wholeNumberValue.map { digits[$0] } })
  }
}
