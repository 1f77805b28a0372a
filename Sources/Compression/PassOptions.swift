import Diagnostics
import Foundation
import StructuredData

/// A pass as a mapping of options, and back. Synthesised decoding ignores defaults and unknown keys, so the defaults are encoded first, the
/// given options laid over them, and keys that the defaults do not have are refused.
extension RecipePass {
  /// Every option with its value.
  public var options: JSONObject {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let data = try? encoder.encode(self), let value = try? JSONValue(parsing: String(decoding: data, as: UTF8.self)),
      let object = value.object
    else {
      // A recipe without its options would reproduce something else: that must not pass unseen.
      preconditionFailure("the options of the pass \(Self.identifier) cannot be encoded; they must be plain Codable values")
    }
    return object
  }

  /// A pass with these options over the defaults.
  public init(options: JSONObject) throws(CompressionError) {
    do { self = try Self(checking: options) } catch { throw error.error }
  }

  /// The same, with the place of what is refused.
  package init(checking options: JSONObject) throws(OptionProblem) {
    var all = Self().options
    for (key, value) in options.members.map({ ($0.key, $0.value) }) {
      guard all[key] != nil else {
        throw OptionProblem(
          Self.identifier, ValuePath([.key(key)]), "is not an option",
          remedy: NameSuggestion.remedy(for: key, among: all.keys, known: "options are \(all.keys.joined(separator: ", "))"))
      }
      all[key] = value
    }
    do {
      self = try ValueDecoder.decode(Self.self, from: .object(all))
    } catch {
      throw OptionProblem(Self.identifier, error.path, error.problem, remedy: error.remedy)
    }
    if let mistake {
      throw OptionProblem(
        Self.identifier, ValuePath(mistake.option.isEmpty ? [] : [.key(mistake.option)]), mistake.problem, remedy: mistake.remedy)
    }
  }
}
