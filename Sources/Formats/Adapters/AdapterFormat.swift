import Foundation

/// The two directory layouts that low-rank adapters are exchanged in.
public enum AdapterFormat: String, Sendable, Hashable, CaseIterable {
  /// Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.
  case peft
  /// mlx-lm: `adapter_config.json` and `adapters.safetensors`.
  case mlx

  /// The settings, under the same name in both.
  public static let configurationFileName = "adapter_config.json"

  public var weightsFileName: String {
    switch self {
    case .peft: "adapter_model.safetensors"
    case .mlx: "adapters.safetensors"
    }
  }

  /// The settings and tensors of either layout that are there.
  public static func files(in directory: URL) -> [URL] {
    ([configurationFileName] + allCases.map(\.weightsFileName)).map { directory.appendingPathComponent($0) }
      .filter { FileManager.default.fileExists(atPath: $0.path) }
  }

  /// Files of either layout, and the pickled ones of older versions, that would be taken for part of a new adapter beside them.
  static let allFileNames =
    [configurationFileName, "adapter_model.bin", "adapter_model.safetensors.index.json", "adapters.npz"] + allCases.map(\.weightsFileName)

  /// Largest `adapter_config.json` that is read, in bytes; one that names every expert of a large model has a few million.
  static let maximumConfigurationBytes = 32_000_000
}
