import Diagnostics
import Distribution
import Reporting
import StructuredData

extension ProcessGroup {
  /// Refuses to go on where processes do not begin on the same.
  /// - Parameters:
  ///   - identity: of what each has.
  ///   - what: it is, for the message.
  func agree(on identity: String, called what: String) throws {
    guard !isAlone else { return }
    let all = try gather(Array(identity.utf8))
    guard let other = all.firstIndex(where: { $0 != all[0] }) else { return }
    throw RecipeError(
      what, "are not the same at rank 0 on \(hosts[0]) and at rank \(other) on \(hosts[other])",
      remedy: "give every machine the same files, best on a file system that all share", kind: .usage)
  }

  /// The first process's report, at all of them.
  /// - Parameter report: nil at the others.
  func hand(_ report: CompressionReport?) throws -> CompressionReport {
    if isAlone, let report { return report }
    let text = try broadcast(report.map { Array($0.json.text().utf8) } ?? [], from: 0)
    return try report ?? CompressionReport(json: JSONValue(parsing: String(decoding: text, as: UTF8.self)))
  }
}
