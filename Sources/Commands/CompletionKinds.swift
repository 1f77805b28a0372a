import ArgumentParser
import DeepSeekOptimize

/// What shells offer behind an option.
extension CompletionKind {
  /// A model: a directory, or one of the files that hold one.
  static var model: CompletionKind { .file(extensions: ["safetensors", "gguf", "h5", "hdf5", "keras"]) }
  /// A text to measure, calibrate or train on.
  static var text: CompletionKind { .file(extensions: ["txt", "jsonl"]) }
  static var recipeFile: CompletionKind { .file(extensions: ["yaml", "yml"]) }
  /// The recipes that ship.
  static var recipeNames: CompletionKind { .custom { _, _, _ in (try? NamedRecipe.all().map(\.name)) ?? [] } }
  /// Widths of a weight.
  static var bits: CompletionKind { .list(["8", "6", "5", "4", "3", "2"]) }
  static var groupSize: CompletionKind { .list(["0", "32", "64", "128"]) }
  /// Names of settings for fine-tuning.
  static var finetunePresets: CompletionKind { .custom { _, _, _ in (try? FinetunePreset.all().map(\.name)) ?? [] } }
  /// Types of GGUF's.
  static var ggufTypes: CompletionKind { .list(WeightType.allCases.filter { $0.isGGUF && $0 != .gguf }.map(\.rawValue)) }
}
