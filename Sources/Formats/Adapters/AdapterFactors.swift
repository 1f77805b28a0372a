import Foundation
import StructuredData

/// Rank and α of each module, with the patterns of the settings.
struct AdapterFactors {
  private let ranks: NameTable<Int>
  private let alphas: NameTable<Double>
  private let configuration: AdapterConfiguration

  /// - Throws: `CheckpointError` naming `file` when a pattern is no expression that is supported, or there are too many.
  init(_ configuration: AdapterConfiguration, moduleNames: [String], file: URL) throws(CheckpointError) {
    self.configuration = configuration
    ranks = try Self.resolve(configuration.rankOverrides, "rank_pattern", moduleNames, file)
    alphas = try Self.resolve(configuration.alphaOverrides, "alpha_pattern", moduleNames, file)
  }

  func rank(of module: String) -> Int { ranks[module] ?? configuration.rank }
  func alpha(of module: String) -> Double { alphas[module] ?? configuration.alpha }

  private static func resolve<Value>(
    _ overrides: [AdapterConfiguration.Override<Value>], _ key: String, _ modules: [String], _ file: URL
  ) throws(CheckpointError) -> NameTable<Value> {
    guard !overrides.isEmpty else { return NameTable<Value>([(String, Value)]()) }
    var patterns: [(pattern: AdapterPattern, value: Value)] = []
    for override in overrides {
      do throws(NamePatternError) { patterns.append((try AdapterPattern(override.pattern), override.value)) } catch {
        throw CheckpointError.malformed(
          file: file, "the pattern \"\(CheckpointError.shortened(override.pattern))\" of \(key) cannot be used: \(error.problem)",
          remedy: error.remedy)
      }
    }
    guard MatchingBudget.allows(weight: patterns.reduce(0) { $0 &+ $1.pattern.weight }, names: modules) else {
      throw CheckpointError.malformed(
        file: file, "\(key) has \(overrides.count) patterns for \(modules.count) modules, too many to compare",
        remedy: "write fewer or plainer patterns: names without special characters cost little")
    }
    return NameTable(
      modules.compactMap { name in patterns.first { $0.pattern.matches(name) }.map { (name, $0.value) } })
  }
}
