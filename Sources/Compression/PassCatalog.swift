import Diagnostics
import StructuredData

/// The passes this package has, by identifier. The list itself is written when the package is built (`Scripts/list-types`).
public enum PassCatalog {
  /// The pass of that identifier with these options.
  public static func pass(_ identifier: String, options: JSONObject) throws(CompressionError) -> any RecipePass {
    do { return try type(identifier).init(checking: options) } catch { throw error.error }
  }

  /// The pass of that identifier.
  package static func type(_ identifier: String) throws(OptionProblem) -> any RecipePass.Type {
    guard let type = passes.first(where: { $0.identifier == identifier }) else {
      let names = passes.map { $0.identifier }.sorted()
      throw OptionProblem(
        identifier, ValuePath(), "is not a pass this version knows",
        remedy: NameSuggestion.remedy(for: identifier, among: names, known: "known are \(names.joined(separator: ", "))"))
    }
    return type
  }
}

/// What is wrong with a pass as somebody wrote it, and where.
package struct OptionProblem: Error, Sendable {
  package let pass: String
  /// From the pass's options on; empty for the pass itself.
  package let path: ValuePath
  package let problem: String
  package let remedy: String

  init(_ pass: String, _ path: ValuePath, _ problem: String, remedy: String) {
    (self.pass, self.path, self.problem, self.remedy) = (pass, path, problem, remedy)
  }

  /// `gptq: damping`
  package var subject: String { path.steps.isEmpty ? pass : "\(pass): \(path.text)" }

  /// The same where no file is known.
  package var error: CompressionError { CompressionError(subject, problem, remedy: remedy, kind: .badConfiguration) }
}
