import Foundation

/// Numbers as a person reads them; always a point for the decimals and a comma between thousands, whatever the locale.
///
/// Every function accepts any value, infinities and the extremes of its type included: figures may come from a file.
package enum NumberText {
  /// What stands for a figure that was not measured.
  static let absent = "–"

  /// With that many decimals: `fixed(36.066, 2)` is `36.07`. Beyond 10^15, scientific.
  static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return absent }
    let factor = pow(10, Double(decimals))
    let scaled = (abs(value) * factor).rounded()
    guard scaled < 1e15, let digits = Int64(exactly: scaled) else { return scientific(value, 3) }
    let sign = value < 0 && digits != 0 ? "-" : ""
    guard decimals > 0 else { return sign + grouped(digits) }
    var text = String(digits)
    text = String(repeating: "0", count: max(0, decimals + 1 - text.count)) + text
    let whole = Int64(text.dropLast(decimals)) ?? 0
    return sign + grouped(whole) + "." + text.suffix(decimals)
  }

  /// With that many significant digits, trailing zeros kept: 0.0321, 12.3, 1,230; scientific below 10^-5 and from 10^7 on.
  static func significant(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return absent }
    guard value != 0 else { return "0" }
    let exponent = self.exponent(of: value, digits)
    if exponent < -5 || exponent >= 7 { return scientific(value, digits) }
    let decimals = digits - 1 - exponent
    if decimals >= 0 { return fixed(value, decimals) }
    let unit = pow(10, Double(-decimals))
    return fixed((value / unit).rounded() * unit, 0)
  }

  /// Like ``significant(_:_:)`` without the zeros that end the decimals, as befits a limit someone typed: `0.01`.
  static func trimmed(_ value: Double, _ digits: Int) -> String {
    var text = significant(value, digits)
    guard text.contains("."), !text.contains("e") else { return text }
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }

  /// `3.1e-08`
  static func scientific(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return absent }
    guard value != 0 else { return "0" }
    let exponent = self.exponent(of: value, digits)
    // In two steps: 10^-exponent alone overflows for subnormal values.
    let half = exponent / 2
    let mantissa = value / pow(10, Double(half)) / pow(10, Double(exponent - half))
    let magnitude = String(abs(exponent))
    return fixed(mantissa, digits - 1) + "e" + (exponent < 0 ? "-" : "+") + (magnitude.count < 2 ? "0" : "") + magnitude
  }

  /// The decimal exponent after rounding to that many digits, so that 9.99 with two digits counts as 10.
  private static func exponent(of value: Double, _ digits: Int) -> Int {
    let logarithm = log10(abs(value))
    let exponent = Int(logarithm.rounded(.down))
    let mantissa = pow(10, logarithm - Double(exponent))
    let unit = pow(10, Double(digits - 1))
    return (mantissa * unit).rounded() >= 10 * unit ? exponent + 1 : exponent
  }

  /// `36,863`
  package static func grouped(_ value: some BinaryInteger) -> String {
    let text = String(value.magnitude)
    var output = value < 0 ? "-" : ""
    for (index, digit) in text.enumerated() {
      if index > 0, (text.count - index).isMultiple(of: 3) { output += "," }
      output.append(digit)
    }
    return output
  }

  /// A signed change in percent, precise enough to show that it is not zero: `+0.02 %`, `-3.1 %`.
  static func percentChange(_ fraction: Double) -> String {
    let percent = fraction * 100
    guard percent.isFinite else { return absent }
    let decimals = abs(percent) >= 99.95 ? 0 : abs(percent) >= 0.995 ? 1 : abs(percent) >= 0.00995 || percent == 0 ? 2 : 3
    let text = fixed(percent, decimals)
    let isZero = !text.contains { ("1"..."9").contains($0) }
    return (percent > 0 && !isZero ? "+" : "") + text + " %"
  }

  /// A share: `97.25 %`; never `100.00 %` unless it is all.
  static func percent(_ fraction: Double, _ decimals: Int = 2) -> String {
    let percent = fraction * 100
    guard percent.isFinite else { return absent }
    let ceiling = 100 - pow(10, -Double(decimals))
    return fixed(percent < 100 && percent > ceiling ? ceiling : percent, decimals) + " %"
  }
}
