import Diagnostics
import Foundation
import StructuredData
import Tensors

extension AdapterCheckpoint {
  /// Holds the adapter against the model that it shall change.
  ///
  /// Every adapted module must be in the model with fitting shapes, and every module of the model that the settings select must have an
  /// adapter: otherwise the model is another than the one it was trained for.
  /// - Throws: `CheckpointError` naming the module and both shapes.
  public func check(against weights: any WeightSource) throws(CheckpointError) {
    for module in modules {
      guard let found = weights.describe(module.name + ".weight") else {
        throw mismatch(module.name, "the model has no such module")
      }
      guard found.shape == module.weightShape else {
        throw mismatch(module.name, "it is made for a weight of \(module.weightShape), the model has \(found.shape)")
      }
    }
    guard configuration.origin != nil else { return }
    let names = weights.names.filter { $0.utf8.count > 7 && $0.hasSuffix(".weight") && weights.describe($0)?.shape.rank == 2 }
      .map { String($0.dropLast(7)) }
    let layerCount = names.compactMap { $0.blockPath?.number }.max().map { $0 == .max ? $0 : $0 + 1 }
    let matcher: AdapterTargetMatcher
    do throws(NamePatternError) { matcher = try AdapterTargetMatcher(configuration.targets, layerCount: layerCount) } catch {
      throw CheckpointError(kind: .badData, subject: error.subject, problem: error.problem, remedy: error.remedy)
    }
    guard matcher.canMatch(names) else {
      throw CheckpointError(
        kind: .badData, subject: weightsFile?.relativePath ?? "adapter",
        problem: "the expressions of its targets are too long for \(names.count) modules", remedy: "list the names in target_modules")
    }
    let adapted = Set(modules.map { TensorName($0.name) })
    if let name = names.first(where: { !adapted.contains(TensorName($0)) && matcher.selects($0) }) {
      throw mismatch(name, "the settings select this module of the model, but there are no tensors for it")
    }
  }

  private func mismatch(_ module: String, _ problem: String) -> CheckpointError {
    CheckpointError(
      kind: .badData, subject: "\(weightsFile?.relativePath ?? "adapter"), module \(CheckpointError.shortened(module))", problem: problem,
      remedy: "take the model that the adapter was trained for"
        + (configuration.baseModel.map { ": \(CheckpointError.shortened($0))" } ?? ""))
  }
}
