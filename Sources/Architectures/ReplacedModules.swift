import ModelGraph
import StructuredData

/// What config.json says under `deepseek_optimize`: modules in the place of the family's own that no other key has words for.
///
/// It is an object with
/// - `attention`: a list of objects, each with `layers`, the numbers of layers, and `type`: `global`; `sliding-window`, with `window`; or
///   `top-tokens`, with `block` and `count`;
/// - `normalization`: `layer-norm` or `dynamic-tanh` in the place of the RMS norms of the residual stream.
///
/// Other programs pass it over. What it holds beyond this is refused: the model would be another one.
struct ReplacedModules: Sendable {
  static let key = "deepseek_optimize"
  /// Which keys attention sees, by layer, where the family's keys do not say it.
  var reaches: [Int: AttentionReach] = [:]
  /// How rows of the residual stream are normalised.
  var normalization = StreamNormalization.rmsNorm

  init(_ reader: inout ConfigurationReader, layers: Int) throws(ConfigurationError) {
    guard var section = try reader.section(Self.key) else { return }
    if let list = section.value("attention") {
      guard let entries = list.array else { throw ConfigurationError("\(section.file): attention", "is not a list") }
      for (index, entry) in entries.enumerated() {
        var entry = try ConfigurationReader(entry, file: "\(section.file): attention[\(index)]")
        let reach = try Self.reach(&entry)
        guard let numbers = entry.value("layers")?.array?.map({ $0.integer ?? -1 }), numbers.allSatisfy((0..<layers).contains) else {
          throw ConfigurationError("\(entry.file): layers", "is not a list of layers from 0 to \(layers - 1)")
        }
        try entry.refuseUnread()
        for number in numbers {
          guard reaches.updateValue(reach, forKey: number) == nil else {
            throw ConfigurationError("\(entry.file): layers", "names layer \(number), which has its attention from another entry")
          }
        }
      }
    }
    if let name = try section.text("normalization") {
      guard let known = StreamNormalization(rawValue: name) else {
        throw ConfigurationError(
          "\(section.file): normalization", "\"\(name)\" is not known",
          remedy: "use \(StreamNormalization.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      normalization = known
    }
    try section.refuseUnread()
  }

  private static func reach(_ entry: inout ConfigurationReader) throws(ConfigurationError) -> AttentionReach {
    let type = try entry.text("type") ?? ""
    switch type {
    case "global": return .full
    case "sliding-window": return .window(try entry.count("window"))
    case "top-tokens":
      let selection = BlockSelection(
        block: try entry.count("block", limit: BlockSelection.limit), count: try entry.count("count", limit: BlockSelection.limit))
      guard selection.isConsistent else { throw ConfigurationError("\(entry.file): count", "is out of range") }
      return .blocks(selection)
    default:
      throw ConfigurationError("\(entry.file): type", "\"\(type)\" is not known", remedy: "use global, sliding-window or top-tokens")
    }
  }
}

extension ConfigurationReader {
  /// Throws for a key that nobody asked for.
  fileprivate func refuseUnread() throws(ConfigurationError) {
    guard let key = unread.first else { return }
    throw ConfigurationError("\(file): \(key)", "is not known to this version", remedy: "use the version that wrote it")
  }
}

extension AttentionReach {
  /// An entry of `attention`.
  func configuration(layers: [Int]) -> JSONValue {
    var object: JSONObject = ["layers": .array(layers.map { .integer(Int64($0)) })]
    switch self {
    case .full: object["type"] = "global"
    case .window(let size):
      object["type"] = "sliding-window"
      object["window"] = .integer(Int64(size))
    case .blocks(let selection):
      object["type"] = "top-tokens"
      object["block"] = .integer(Int64(selection.block))
      object["count"] = .integer(Int64(selection.count))
    }
    return .object(object)
  }
}
