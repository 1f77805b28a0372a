import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `--model`.
struct ModelOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model: a Hugging Face directory, a .safetensors, .gguf or HDF5 file, or demo, the model that ships.", valueName: "model"),
    completion: .model)
  var model = DemoModel.name
}

/// `--adapter`.
struct AdapterOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "An adapter to run the model with: a directory that PEFT, mlx-lm or deepseek-finetune wrote.", valueName: "directory"),
    completion: .directory)
  var adapter: String?

  func apply(to model: ModelBundle, threads: Int?) throws -> ModelBundle {
    guard let adapter else { return model }
    return try model.adapted(by: URL(fileURLWithPath: adapter), pool: ThreadPool(threads: threads))
  }
}
