import Foundation
import StructuredData
import Tensors

/// The HDF5 files of a Keras model, one or several, and how they name variables.
struct KerasFiles: Sendable {
  let containers: [HDF5Checkpoint]
  private let style: Style

  private enum Style: Sendable {
    /// `layers/<object>/vars/<index>`, below the objects that the model itself lies in.
    case objects(prefix: String)
    /// `<model's layer>/<layer>/<variable>`.
    case names(prefix: String, suffix: String)
  }

  /// - Parameters:
  ///   - parameter: one that every model has, to see by how the files name variables.
  ///   - className: the backbone's.
  init(_ containers: [HDF5Checkpoint], containing parameter: KerasParameter, className: String) throws(CheckpointError) {
    self.containers = containers
    // A task holds its backbone as a layer of its own; what Keras 2.13 wrote says dependencies where later files say layers.
    let styles: [Style] =
      ["layers.", "layers.\(Self.snakeCase(className)).layers.", "_layer_checkpoint_dependencies."].map { .objects(prefix: $0) }
      + ["model_weights.", ""].flatMap { prefix in ["", ":0"].map { .names(prefix: prefix, suffix: $0) } }
    let found = styles.first { style in
      containers.contains { $0.descriptor(Self.name(of: parameter, index: parameter.index, style)) != nil }
    }
    guard let found else {
      throw CheckpointError.malformed(
        file: containers[0].files[0], "it has no embedding where Keras's \(CheckpointError.shortened(className)) has one",
        remedy: "config.json and the weights do not belong together")
    }
    style = found
  }

  /// `LlamaBackbone` as Keras spells it in paths: `llama_backbone`.
  private static func snakeCase(_ className: String) -> String {
    className.enumerated().map { index, character in
      (character.isUppercase && index > 0 ? "_" : "") + character.lowercased()
    }.joined()
  }

  /// The dataset of a variable.
  /// - Parameters:
  ///   - index: its place among the layer's variables.
  ///   - suffix: what its name ends in beyond that of the parameter: `_scale`.
  func descriptor(of parameter: KerasParameter, index: Int, suffix: String = "") -> TensorDescriptor? {
    let name = Self.name(of: parameter, index: index, suffix: suffix, style)
    for container in containers {
      if let found = container.descriptor(name) { return found }
    }
    return nil
  }

  func container(of dataset: String) throws(CheckpointError) -> HDF5Checkpoint {
    for container in containers where container.descriptor(dataset) != nil { return container }
    throw .missingTensor(dataset, in: containers[0].files[0])
  }

  /// What errors call the dataset that a parameter should be in.
  func expectedName(of parameter: KerasParameter) -> String { Self.name(of: parameter, index: parameter.index, style) }

  private static func name(of parameter: KerasParameter, index: Int, suffix: String = "", _ style: Style) -> String {
    switch style {
    case .objects(let prefix): return "\(prefix)\(parameter.object).vars.\(index)"
    case .names(let prefix, let ending):
      // Legacy files group variables by the model's layer, and repeat it in their names.
      let layer = parameter.layer.split(separator: "/")
      return "\(prefix)\(layer[0]).\(layer.joined(separator: ".")).\(parameter.variable)\(suffix)\(ending)"
    }
  }
}
