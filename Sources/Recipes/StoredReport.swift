import Diagnostics
import Foundation
import Reporting
import StructuredData

/// Reports on disk.
public enum StoredReport {
  /// Reads `report.json` of an output directory, or a report file itself.
  public static func read(_ path: String) throws -> CompressionReport {
    var file = URL(fileURLWithPath: path)
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: file.path, isDirectory: &isDirectory), isDirectory.boolValue {
      file.appendPathComponent("report.json")
    }
    return try decode(TextFile.data(file, limit: JSONFile.limit), of: file)
  }

  static func decode(_ bytes: Data, of file: URL) throws -> CompressionReport {
    let document = try JSONFile.parse(bytes, of: file)
    do { return try CompressionReport(json: document) } catch {
      throw RecipeError(file.path, "is not a report: \(error)", remedy: "give an output of this program", kind: .badData)
    }
  }
}
