import ModelGraph
import StructuredData
import Tensors

/// A model family: reads a config.json and says how its tensors make a graph. One file each, in `Families/`; or a type of a program that
/// opens models with it.
public protocol Architecture: Sendable {
  /// config.json's `model_type`, aliases included.
  static var modelTypes: [String] { get }
  /// Takes what it needs from the configuration; keys it does not read are reported.
  init(configuration: inout ConfigurationReader) throws(ConfigurationError)
  /// The graph over these weights. No weight is read. Throws `GraphError` for a missing or misshapen tensor.
  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph
  /// A configuration with these sliding windows, in the words of this family or of another with the same graph; nil where there are none for
  /// them.
  static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject?
}

extension Architecture {
  public static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject? {
    windows.isEmpty ? configuration : nil
  }
}

/// The families this package knows.
public enum ArchitectureCatalog {
  /// The family for a `model_type`.
  public static func architecture(forModelType type: String) -> (any Architecture.Type)? {
    families.first { $0.modelTypes.contains(type) }
  }

  /// Every `model_type` that loads, sorted.
  public static var modelTypes: [String] { families.flatMap { $0.modelTypes }.sorted() }

  /// Builds the graph that config.json describes over these weights.
  /// - Parameter families: a program's own, which are asked before those of the package.
  /// - Returns: the graph, and the keys of config.json that no one read.
  public static func graph(
    configuration: JSONValue, file: String = "config.json", weights: any WeightSource, families own: [any Architecture.Type] = []
  ) throws -> (graph: ModelGraph, unreadKeys: [String]) {
    var reader = try ConfigurationReader(configuration, file: file)
    guard let type = try reader.text("model_type") else {
      throw ConfigurationError("\(file): model_type", "is missing", remedy: "use a Hugging Face config.json")
    }
    guard let family = own.first(where: { $0.modelTypes.contains(type) }) ?? architecture(forModelType: type) else {
      let known = own.flatMap { $0.modelTypes } + modelTypes
      throw ConfigurationError(
        "\(file): model_type", "\"\(type)\" is not a family this version knows",
        remedy: "known are \(known.sorted().joined(separator: ", "))")
    }
    let architecture = try family.init(configuration: &reader)
    let graph = try architecture.graph(over: weights)
    // The model would be another one.
    guard !reader.unread.contains(ownKey) else {
      throw ConfigurationError(
        "\(file): \(ownKey)", "holds modules in the place of the family's own, which \"\(type)\" has no place for",
        remedy: "use the model as it was before they were replaced")
    }
    return (graph, reader.unread)
  }
}
