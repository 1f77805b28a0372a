import Compression
import Diagnostics
import Foundation
import StructuredData

/// Settings for fine-tuning under a name, and what they reached on the demo model. They lie in a file beside the sources, which
/// `Tests/Interop/presets.py` measures again.
public struct FinetunePreset: Sendable {
  public let name: String
  /// What it is for, in a sentence.
  public let summary: String
  public let settings: FinetuneSettings
  public let measured: Measurement?

  /// A run on the demo model and the calibration text that ships, evaluated on the evaluation text.
  public struct Measurement: Codable, Sendable, Hashable {
    public var learningRate: Float
    public var steps: Int
    public var trainableParameters: Int
    public var perplexityBefore: Double
    public var perplexityAfter: Double
    public var tokensPerSecond: Double
    public var peakMemoryBytes: Int
  }

  /// Every preset, in the order of the file.
  public static func all() throws -> [FinetunePreset] {
    let file = ToolResources.url("Presets/finetuning.json")
    let document = try JSONFile.read(file)
    guard let presets = document["presets"]?.array else { throw damaged(file, "has no presets") }
    return try presets.map { value in
      guard let name = value["name"]?.string, let summary = value["summary"]?.string, let settings = value["settings"]?.object else {
        throw damaged(file, "has a preset without a name, a summary or settings")
      }
      return FinetunePreset(
        name: name, summary: summary, settings: try FinetuneSettings(over: settings, file: file),
        measured: try value["measured"].map { try JSONDecoder().decode(Measurement.self, from: Data($0.text().utf8)) })
    }
  }

  /// The preset of that name.
  public static func named(_ name: String) throws -> FinetunePreset {
    let presets = try all()
    guard let preset = presets.first(where: { $0.name == name }) else {
      throw RecipeError(
        "--recipe \(name)", "is not a preset", remedy: "known are \(presets.map(\.name).joined(separator: ", "))", kind: .usage)
    }
    return preset
  }

  fileprivate static func damaged(_ file: URL, _ problem: String) -> RecipeError {
    RecipeError(file.path, problem, remedy: "install the package again", kind: .badConfiguration)
  }
}

extension FinetuneSettings {
  /// Every setting by its name.
  public var json: JSONValue? { JSONValue(encoding: self) }

  /// The defaults with some settings laid over them; names that there are not are refused.
  fileprivate init(over given: JSONObject, file: URL) throws {
    var defaults = FinetuneSettings()
    // An absent base has no members to lay anything over.
    if given["base"] != nil { defaults.base = BaseQuantization(bits: 4) }
    guard let all = defaults.json else { throw FinetunePreset.damaged(file, "cannot be held against the defaults") }
    let merged = try Self.laying(.object(given), over: all, file: file)
    self = try JSONDecoder().decode(FinetuneSettings.self, from: Data(merged.text().utf8))
  }

  private static func laying(_ given: JSONValue, over value: JSONValue, file: URL) throws -> JSONValue {
    guard let members = given.object?.members, var object = value.object else { return given }
    for member in members {
      guard let current = object[member.key] else { throw FinetunePreset.damaged(file, "has the unknown setting \(member.key)") }
      object[member.key] = try laying(member.value, over: current, file: file)
    }
    return .object(object)
  }
}

extension FinetunePreset.Measurement {
  /// Every figure by its name.
  public var json: JSONValue? { JSONValue(encoding: self) }
}

extension JSONValue {
  /// A plain Codable value; nil for one that JSON cannot hold.
  fileprivate init?(encoding value: some Encodable) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let data = try? encoder.encode(value), let parsed = try? JSONValue(parsing: String(decoding: data, as: UTF8.self)) else {
      return nil
    }
    self = parsed
  }
}
