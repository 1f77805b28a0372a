import Calibration
import Compression
import Diagnostics
import Foundation
import ModelGraph
import Reporting

/// What a recipe does in one go, from a checkpoint to a checkpoint.
protocol RecipeStage {
  /// Checks everything that can be checked without weights.
  /// - Parameter graph: the model that the stage will begin on, in its sizes; what weights it holds does not matter.
  /// - Returns: the model that it will leave, likewise.
  func check(on graph: ModelGraph) throws -> ModelGraph
  /// Runs it and writes its output, report included.
  func execute() throws -> CompressionReport
}

/// A pass that is a stage of its own.
protocol StagePass: RecipePass {
  /// What it reads beside the model and the recipe's text.
  var files: [URL] { get }
  /// - Parameter recipe: this pass alone, with what the whole recipe says of text and seed.
  func stage(of recipe: Recipe, on model: ModelBundle, settings: RunSettings, progress: ProgressHandler?) -> any RecipeStage
}

extension StagePass {
  var files: [URL] { [] }
}

extension CompressionRun: RecipeStage {
  func check(on graph: ModelGraph) throws -> ModelGraph {
    let prepared = try recipe.prepare(graph, using: resources)
    let plan = try recipe.blockPasses.begin(on: prepared, in: PassContext(interpreter: interpreter, seed: recipe.seed)).plan
    _ = try OutputLayout(model: model, graph: prepared, plan: plan, format: recipe.format)
    if recipe.isCalibrated, let text = recipe.calibration { _ = try CalibrationText(contentsOf: text.file) }
    return prepared
  }
}

extension Recipe {
  /// The recipe cut into stages: passes that work block by block go together, any other alone.
  var stages: [Recipe] {
    var groups: [[any RecipePass]] = []
    for pass in passes {
      if pass is any CompressionPass, let last = groups.last, last[0] is any CompressionPass {
        groups[groups.count - 1].append(pass)
      } else {
        groups.append([pass])
      }
    }
    let last = groups.count - 1
    return groups.isEmpty
      ? [self]
      : groups.enumerated().map { index, group in
        // What lies between stages is read again by this program.
        let stage = Recipe(passes: group, format: index == last ? format : .compressedTensors, seed: seed, calibration: calibration)
        return stage.isCalibrated ? stage : Recipe(passes: group, format: stage.format, seed: seed)
      }
  }

  /// - Parameter recipe: one of ``stages``.
  static func stage(_ recipe: Recipe, on model: ModelBundle, settings: RunSettings, progress: ProgressHandler?) -> any RecipeStage {
    guard let pass = recipe.passes.first as? any StagePass else {
      return CompressionRun(model: model, recipe: recipe, settings: settings, progress: progress)
    }
    return pass.stage(of: recipe, on: model, settings: settings, progress: progress)
  }
}
