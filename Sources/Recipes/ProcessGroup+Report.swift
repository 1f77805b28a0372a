import Compression
import Distribution
import Reporting
import StructuredData

extension ProcessGroup {
  /// The first process's report, at all of them.
  /// - Parameter report: nil at the others.
  func hand(_ report: CompressionReport?) throws -> CompressionReport {
    if isAlone, let report { return report }
    let text = try broadcast(report.map { Array($0.json.text().utf8) } ?? [], from: 0)
    return try report ?? CompressionReport(json: JSONValue(parsing: String(decoding: text, as: UTF8.self)))
  }
}
