extension NumberText {
  /// Size on disk in decimal units (1 MB = 10^6 bytes), three digits: `13.6 MB`.
  package static func bytes(_ count: Int) -> String {
    scaled(Double(count), step: 1000, units: ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
  }

  /// Memory in binary units (1 MiB = 2^20 bytes): `1.20 GiB`.
  static func memory(_ count: Int) -> String {
    scaled(Double(count), step: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
  }

  /// A count of parameters: `6.81 M`.
  static func parameters(_ count: Int) -> String { scaled(Double(count), step: 1000, units: ["", "k", "M", "B", "T"]) }

  private static func scaled(_ value: Double, step: Double, units: [String]) -> String {
    var value = value
    var index = 0
    // 999.6 would print as 1000.
    while abs(value) >= step - 0.5, index + 1 < units.count {
      value /= step
      index += 1
    }
    let decimals = index == 0 || abs(value) >= 99.95 ? 0 : abs(value) >= 9.995 ? 1 : 2
    return units[index].isEmpty ? fixed(value, decimals) : fixed(value, decimals) + " " + units[index]
  }

  /// `412 ms`, `3.42 s`, `2 min 5 s`, `1 h 4 min`.
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return absent }
    if seconds < 0.9995 { return significant(seconds * 1000, 3) + " ms" }
    if seconds < 59.95 { return significant(seconds, 3) + " s" }
    guard seconds < 1e12 else { return scientific(seconds, 3) + " s" }
    let whole = Int64(seconds.rounded())
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(grouped(whole / 3600)) h \(whole % 3600 / 60) min"
  }

  /// A time that is still to come, to the second at most: `3.4 s`, `59 s`, then as ``duration(_:)`` says it; days from the second on.
  package static func estimate(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e12 else { return absent }
    let whole = Int64(max(0, seconds).rounded())
    if seconds < 9.95 { return fixed(max(0, seconds), 1) + " s" }
    if whole < 60 { return "\(whole) s" }
    return whole < 172_800 ? duration(Double(whole)) : "\(grouped(whole / 86_400)) d \(whole % 86_400 / 3600) h"
  }

  /// Bits, which are whole more often than not: `8`, `4.5`.
  static func bits(_ value: Double) -> String {
    value.rounded() == value ? fixed(value, 0) : significant(value, 3)
  }

  /// A perplexity and, when known, its standard error, with decimals that the error can bear out: `36.07 ± 0.41`.
  static func perplexity(_ figure: CompressionReport.Perplexity?) -> String {
    guard let value = figure?.perplexity else { return absent }
    let text = perplexity(value)
    guard let error = figure?.standardError, error.isFinite else { return text }
    return text + " ± " + (abs(value) < 1e4 ? fixed(error, perplexityDecimals(value)) : significant(error, 3))
  }

  static func perplexity(_ value: Double) -> String {
    abs(value) < 1e4 ? fixed(value, perplexityDecimals(value)) : significant(value, 5)
  }

  private static func perplexityDecimals(_ value: Double) -> Int { abs(value) < 10 ? 3 : 2 }

  /// A divergence in nats: three significant digits, `0.0000312`, `0.0214`.
  static func nats(_ value: Double) -> String { significant(value, 3) }
}
