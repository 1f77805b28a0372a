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
    let document = try JSONFile.read(file)
    do { return try CompressionReport(json: document) } catch {
      throw RecipeError(file.path, "is not a report: \(error)", remedy: "give an output of this program", kind: .badData)
    }
  }
}
