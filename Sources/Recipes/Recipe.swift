import Compression
import Diagnostics
import Formats
import Foundation
import ModelGraph

/// What is done to a model: passes in order, and how the result is written. In Swift and in YAML it is the same list.
public struct Recipe: Sendable {
  public var passes: [any RecipePass]
  public var format: OutputFormat
  /// Every random choice derives from it.
  public var seed: UInt64
  /// The text for passes that need any.
  public var calibration: CalibrationPlan?

  public init(
    passes: [any RecipePass], format: OutputFormat = .compressedTensors, seed: UInt64 = 0, calibration: CalibrationPlan? = nil
  ) {
    self.passes = passes
    self.format = format
    self.seed = seed
    self.calibration = calibration
  }

  /// A recipe written as a list of passes.
  public init(
    format: OutputFormat = .compressedTensors, seed: UInt64 = 0, calibration: CalibrationPlan? = nil,
    @RecipeBuilder _ passes: () -> [any RecipePass]
  ) {
    self.init(passes: passes(), format: format, seed: seed, calibration: calibration)
  }

  /// The passes that work block by block; a ``CompressionRun`` has no others.
  var blockPasses: [any CompressionPass] { passes.compactMap { $0 as? any CompressionPass } }

  /// What the passes need, together.
  var needs: Set<PassNeed> { passes.reduce(into: []) { $0.formUnion($1.needs) } }

  /// The names of the passes: `smooth, gptq`.
  var identifiers: String { passes.map { type(of: $0).identifier }.joined(separator: ", ") }

  /// The files of the adapter that is merged.
  var adapterFiles: [URL] {
    guard let merging = passes.lazy.compactMap({ $0 as? AdapterMerging }).first else { return [] }
    return AdapterFormat.files(in: URL(fileURLWithPath: merging.adapter))
  }

  /// Whether text takes part in it.
  var isCalibrated: Bool { calibration != nil && (!needs.isEmpty || passes.contains { $0 is any StagePass }) }

  /// Checks the order of the passes by their contracts, then each against the graph as the ones before it prepare it. Reads no weight but
  /// the scales of quantized ones that an adapter is merged into.
  /// - Returns: the model that passes begin on.
  func prepare(_ source: ModelGraph, using resources: PassResources) throws -> ModelGraph {
    var graph = source
    try checkOrder(from: source)
    _ = try calibration?.resolved(for: source)
    if let pass = passes.first(where: { !$0.needs.isEmpty }), calibration == nil {
      throw RecipeError(
        type(of: pass).identifier, "needs text to calibrate on",
        remedy: "give --calibration FILE, or `calibration: {text: FILE}` in the recipe",
        kind: .usage)
    }
    for pass in passes {
      guard let pass = pass as? any CompressionPass else {
        throw RecipeError(
          type(of: pass).identifier, "is a stage of its own, from checkpoint to checkpoint",
          remedy: "run the recipe with deepseek-optimize run", kind: .usage)
      }
      try pass.validate(for: graph)
      graph = try pass.prepare(graph, using: resources)
      try graph.verify()
    }
    return graph
  }

  /// Checks the order of the passes by their contracts.
  /// - Parameter graph: what they begin on.
  func checkOrder(from graph: ModelGraph) throws(RecipeError) {
    let given: Set<PassContract.Property> = graph.parameters.contains(where: \.isQuantized) ? [.quantizedWeights] : []
    if let error = PassOrder(passes.map { type(of: $0) }, given: given).error { throw error }
  }
}

/// Lets passes be listed one a line, with `if` and `for`.
@resultBuilder
public enum RecipeBuilder {
  public static func buildExpression(_ pass: any RecipePass) -> [any RecipePass] { [pass] }
  public static func buildBlock(_ parts: [any RecipePass]...) -> [any RecipePass] { parts.flatMap { $0 } }
  public static func buildOptional(_ part: [any RecipePass]?) -> [any RecipePass] { part ?? [] }
  public static func buildEither(first: [any RecipePass]) -> [any RecipePass] { first }
  public static func buildEither(second: [any RecipePass]) -> [any RecipePass] { second }
  public static func buildArray(_ parts: [[any RecipePass]]) -> [any RecipePass] { parts.flatMap { $0 } }
}
