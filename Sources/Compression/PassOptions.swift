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
    var all = Self().options
    for (key, value) in options.members.map({ ($0.key, $0.value) }) {
      guard all[key] != nil else {
        throw CompressionError(
          "\(Self.identifier): \(key)", "is not an option", remedy: "options are \(all.keys.joined(separator: ", "))",
          kind: .badConfiguration)
      }
      all[key] = value
    }
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(JSONValue.object(all).text(pretty: false).utf8))
    } catch let error as DecodingError {
      throw CompressionError(Self.identifier, error.plainDescription, kind: .badConfiguration)
    } catch {
      throw CompressionError(Self.identifier, "\(error)", kind: .badConfiguration)
    }
  }
}

extension DecodingError {
  /// The key path and what is wrong there, on one line.
  fileprivate var plainDescription: String {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context), .dataCorrupted(let context):
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
    @unknown default: return "\(self)"
    }
  }
}

/// The passes this package has, by identifier. A test holds the list to the method folders.
public enum PassCatalog {
  public static let passes: [any RecipePass.Type] = [
    AdapterMerging.self,
    StructuredPruning.self,
    ModuleReplacement.self,
    Sparsification.self,
    Distillation.self,
    RoundToNearest.self,
    MinimumSquaredError.self,
    HalfQuadratic.self,
    ImportanceMatrix.self,
    NormalFloat.self,
    GPTQ.self,
    AutoRound.self,
    QuantizationAwareTraining.self,
    ActivationOutliers.self,
    StaticActivationRanges.self,
    ActivationAware.self,
    SmoothQuant.self,
    HadamardRotation.self,
  ]

  /// The pass of that identifier with these options.
  public static func pass(_ identifier: String, options: JSONObject) throws(CompressionError) -> any RecipePass {
    guard let type = passes.first(where: { $0.identifier == identifier }) else {
      throw CompressionError(
        identifier, "is not a pass this version knows",
        remedy: "known are \(passes.map { $0.identifier }.sorted().joined(separator: ", "))", kind: .badConfiguration)
    }
    return try type.init(options: options)
  }
}
