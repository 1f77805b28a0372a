import Foundation
import Reporting
import StructuredData
import Tensors

/// The digest that `report.json` carries of itself: SHA-256 of the file with the 64 digits of that digest as zeros.
///
/// It finds damage. Who changes a report on purpose can seal it anew: against that, note its digest somewhere else.
enum ReportSeal {
  private static let digits = 64
  private static let opening = "\"reportSHA256\": \""
  private static let blank = String(repeating: "0", count: digits)

  /// What a report holds under `reportSHA256`.
  static func seal(of report: CompressionReport) -> String {
    var blanked = report
    blanked.reportSHA256 = blank
    var digest = ContentDigest()
    digest.update(blanked.json.text())
    return digest.hexadecimal()
  }

  /// The seal that the bytes of a report should carry; nil where there is none in the form that is written here.
  static func expected(of bytes: Data) -> String? {
    guard let opening = bytes.range(of: Data(Self.opening.utf8)), bytes.endIndex - opening.upperBound > digits,
      bytes[opening.upperBound + digits] == UInt8(ascii: "\"")
    else { return nil }
    var blanked = bytes
    blanked.replaceSubrange(opening.upperBound..<opening.upperBound + digits, with: Data(blank.utf8))
    var digest = ContentDigest()
    blanked.withUnsafeBytes { digest.update($0) }
    return digest.hexadecimal()
  }
}
