import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What shells offer behind an option.
extension CompletionKind {
  /// A model: a directory, or one of the files that hold one.
  static var model: CompletionKind { .file(extensions: ["safetensors", "gguf", "h5", "hdf5", "keras"]) }
  /// A text to measure, calibrate or train on.
  static var text: CompletionKind { .file(extensions: ["txt", "jsonl"]) }
  /// The recipes that ship, and files of YAML that lie here.
  static var recipeNames: CompletionKind {
    .custom { _, _, _ in
      let files = (try? FileManager.default.contentsOfDirectory(atPath: ".")) ?? []
      let own = files.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
      return ((try? NamedRecipe.all().map(\.name)) ?? []) + own.sorted()
    }
  }
  /// Widths of a weight.
  static var bits: CompletionKind { .list(["8", "6", "5", "4", "3", "2"]) }
  static var groupSize: CompletionKind { .list(["0", "32", "64", "128"]) }
  /// Names of settings for fine-tuning.
  static var finetunePresets: CompletionKind { .custom { _, _, _ in (try? FinetunePreset.all().map(\.name)) ?? [] } }
  /// Types of GGUF's.
  static var ggufTypes: CompletionKind { .list(WeightType.allCases.filter { $0.isGGUF && $0 != .gguf }.map(\.rawValue)) }
}
