import Diagnostics
import Foundation
import StructuredData

/// A recipe with a name and a sentence about it: one of the catalogue that ships, with what it reached on the demo model, or one of a file.
///
/// The catalogue is the folder `Catalogue` beside this file: a recipe more is a file more there, which `Scripts/measure-recipes` then
/// measures.
public struct NamedRecipe: Sendable {
  public let name: String
  /// What it does: the comment that its file begins with, up to the first line without text.
  public let summary: String
  public private(set) var recipe: Recipe
  /// Nil for a recipe that was not measured, as any of a file.
  public let measured: Measurement?

  /// A run on the demo model, calibrated and measured on the texts that ship. The figures are those of its report.
  public struct Measurement: Codable, Sendable, Hashable {
    /// Of the program that measured.
    public var version: String
    /// Over all weights, scales and unquantized ones included.
    public var bitsPerWeight: Double
    /// The output's size over the source's.
    public var ratio: Double
    public var perplexity: Double
    /// Over the perplexity of the model as it was.
    public var perplexityRatio: Double
    /// At 95 %.
    public var perplexityRatioInterval: [Double]
    /// The mean, in nats per token.
    public var klDivergence: Double
  }

  /// Whether text takes part in it: the one that ships, where its user names no other.
  public var isCalibrated: Bool { recipe.isCalibrated }

  /// Whether it is calibrated on the text that ships.
  public var usesDemoText: Bool { isCalibrated && recipe.calibration?.isDemo == true }

  /// The same on another text.
  /// - Parameter text: a path, or `demo`; nil for the text that it names itself.
  public func calibrated(on text: String?) -> NamedRecipe {
    guard let text else { return self }
    var copy = self
    copy.recipe.calibration = recipe.calibration ?? CalibrationPlan(text: text)
    copy.recipe.calibration?.text = text
    return copy
  }

  /// The recipe as YAML, every option written out, under its sentence.
  public func yaml() -> String { (summary.isEmpty ? "" : "# \(summary)\n") + recipe.yaml() }

  /// Where an output goes that nobody has named: the model's name and the recipe's, a file's without its ending.
  public static func defaultOutput(of recipe: String, for model: ModelBundle) -> String {
    let file = URL(fileURLWithPath: recipe).lastPathComponent
    let name = [".yaml", ".yml"].first { file.hasSuffix($0) }.map { String(file.dropLast($0.count)) } ?? file
    return "\(model.name)-\(name)"
  }

  private init(name: String, text: String, file: String, measured: Measurement?) throws {
    self.name = name
    self.measured = measured
    summary = Self.summary(of: text)
    recipe = try Recipe(yaml: text, file: file)
  }

  private static func summary(of text: String) -> String {
    let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.prefix { $0.hasPrefix("#") }
    return lines.map { $0.dropFirst().trimmingCharacters(in: .whitespaces) }.prefix { !$0.isEmpty }.joined(separator: " ")
  }

  /// A recipe by the path of its file, or by its name in the catalogue: what is a file, holds a slash or ends as YAML does is a path.
  public init(opening pathOrName: String) throws {
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: pathOrName, isDirectory: &isDirectory) && !isDirectory.boolValue
    let isPath = exists || pathOrName.contains("/") || [".yaml", ".yml"].contains { pathOrName.hasSuffix($0) }
    guard isPath else {
      self = try Self.named(pathOrName)
      return
    }
    let file = URL(fileURLWithPath: pathOrName)
    self = try Self(
      name: file.deletingPathExtension().lastPathComponent, text: TextFile.read(file), file: file.lastPathComponent, measured: nil)
  }

  /// The recipe of that name in the catalogue.
  public static func named(_ name: String) throws -> NamedRecipe {
    let known = try names()
    guard known.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else {
      let list = "`deepseek-optimize run --list` shows what there is"
      throw RecipeError(
        name, "is neither a file nor a recipe of the catalogue", remedy: NameSuggestion.remedy(for: name, among: known, known: list),
        kind: .usage)
    }
    return try read(name, measurements: measurements())
  }

  /// The catalogue, what takes the most bits first; what was not measured last.
  public static func all() throws -> [NamedRecipe] {
    let measured = try measurements()
    let recipes = try names().map { try read($0, measurements: measured) }
    return recipes.sorted {
      ($0.measured.map { -$0.bitsPerWeight } ?? 0, $0.name) < ($1.measured.map { -$0.bitsPerWeight } ?? 0, $1.name)
    }
  }

  private static var directory: URL {
    ToolResources.url("Catalogue")
  }

  private static func read(_ name: String, measurements: [String: Measurement]) throws -> NamedRecipe {
    let file = directory.appendingPathComponent("\(name).yaml")
    return try NamedRecipe(name: name, text: TextFile.read(file), file: file.lastPathComponent, measured: measurements[name])
  }

  private static func names() throws -> [String] {
    let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
    guard let files else { throw RecipeError(directory.path, "is not there", remedy: "install the package again", kind: .missingInput) }
    return files.filter { $0.pathExtension == "yaml" }.map { $0.deletingPathExtension().lastPathComponent }.sorted()
  }

  /// What `Scripts/measure-recipes` wrote, by the name of the recipe.
  static func measurements() throws -> [String: Measurement] {
    let file = directory.appendingPathComponent("measured.json")
    let document = try JSONFile.read(file)
    do {
      return try ValueDecoder.decode([String: Measurement].self, from: document)
    } catch {
      throw RecipeError(
        "\(file.path): \(error.path.text)", error.problem, remedy: "install the package again", kind: .badConfiguration)
    }
  }
}

extension NamedRecipe.Measurement {
  /// Every figure by its name.
  public var json: JSONValue {
    [
      "version": .string(version), "bitsPerWeight": .number(bitsPerWeight), "ratio": .number(ratio), "perplexity": .number(perplexity),
      "perplexityRatio": .number(perplexityRatio), "perplexityRatioInterval": .array(perplexityRatioInterval.map(JSONValue.number)),
      "klDivergence": .number(klDivergence),
    ]
  }
}
