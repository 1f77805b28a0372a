import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What shells offer behind an option.
extension CompletionKind {
  /// A model: a directory, one of the files that hold one, or demo (`CompletionScript.offeringDemo`).
  static var model: CompletionKind { .file(extensions: ["demo", "safetensors", "gguf", "h5", "hdf5", "keras"]) }
  /// A text to measure or train on.
  static var text: CompletionKind { .file(extensions: ["txt", "jsonl"]) }
  /// A text to calibrate on, or demo.
  static var textOrDemo: CompletionKind { .file(extensions: ["demo", "txt", "jsonl"]) }
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
}
