import Diagnostics
import Foundation
import StructuredData
import Tensors

/// A low-rank adapter of a model: its settings, and two factors (and a magnitude) for each adapted module.
public struct AdapterCheckpoint: Sendable {
  public let configuration: AdapterConfiguration
  /// Sorted by the bytes of the modules' names, each once.
  public let modules: [AdapterModule]
  /// Where it was read from; nil for one that was made here.
  let weightsFile: URL?

  /// An adapter that was made here.
  /// - Throws: `CheckpointError` of kind `usage` for no modules, a module that occurs twice, or magnitudes that do not agree with
  ///   `isWeightDecomposed`.
  public init(configuration: AdapterConfiguration, modules: [AdapterModule]) throws(CheckpointError) {
    let sorted = modules.sorted { compareBytes($0.name, $1.name) < 0 }
    func misuse(_ module: String, _ problem: String) -> CheckpointError {
      CheckpointError(kind: .usage, subject: "adapter of \(CheckpointError.shortened(module))", problem: problem)
    }
    if sorted.isEmpty { throw CheckpointError(kind: .usage, subject: "adapter", problem: "it has no modules") }
    if let (module, _) = zip(sorted, sorted.dropFirst()).first(where: { compareBytes($0.name, $1.name) == 0 }) {
      throw misuse(module.name, "it occurs twice")
    }
    if let module = sorted.first(where: { ($0.magnitude != nil) != configuration.isWeightDecomposed }) {
      throw misuse(module.name, module.magnitude == nil ? "DoRA needs a magnitude" : "only DoRA has a magnitude")
    }
    self.configuration = configuration
    self.modules = sorted
    weightsFile = nil
  }

  /// Reads a directory that PEFT or mlx-lm wrote.
  ///
  /// Tensors are views of the mapped file where the layout allows it. Every tensor of the file must belong to a module that the settings
  /// select, every module must be complete, and shapes must agree with the settings: loaders that are less strict leave such an adapter
  /// without effect and say nothing.
  /// - Throws: `CheckpointError` that names the file, the tensor or the key, and the mend.
  public init(_ directory: URL) throws(CheckpointError) {
    let source = try AdapterDirectory(directory)
    let settings = AdapterSettings(file: source.configurationFile, source.configuration.object ?? [:])
    switch source.format {
    case .peft: configuration = try AdapterConfiguration(peft: settings)
    case .mlx: configuration = try AdapterConfiguration(mlx: settings)
    }
    let reader = AdapterReader(configuration, format: source.format, weights: source.weights, configurationFile: source.configurationFile)
    modules = try reader.modules()
    weightsFile = source.weights.file
  }

  /// The adapter of that module.
  public subscript(module name: String) -> AdapterModule? {
    NameTable(modules.map { ($0.name, $0) })[name]
  }
}
