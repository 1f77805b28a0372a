import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// How one format holds weights: in which tensors, with which bytes, and what its configuration says of them.
///
/// A new format is one more type that conforms, and a case of ``OutputFormat``.
protocol OutputEncoding: Sendable {
  /// What a weight becomes in this format, decided from its header; of codes that are passed on, which forms can hold depends on their values,
  /// and ``OutputLayout/Subject/stored`` reads those.
  /// - Throws: of kind `usage` when the format cannot hold it; the remedy names the nearest form that it can.
  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry

  /// The tensor that a module's weight shares with others, as the experts of a layer may, so that all of them are stored in one way; nil for none.
  func stack(of module: String) -> String?

  /// The name under which a parameter or a module is read back, where the format has its own for it.
  func nameReadBack(of name: String) -> String

  /// What of the weights that the graph does not run is not passed on.
  func omits(_ name: String) -> Bool

  /// Refuses what only all weights together show, before any is read.
  func check(_ layout: OutputLayout) throws

  /// The tensors of one weight with their values.
  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)]

  /// What a parameter that holds codes does after it was written and read again.
  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight

  /// The config.json of an output, and what else is said of it.
  /// - Parameter object: the model's own, without what it says of how its weights are quantized.
  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration

  /// Whether several processes can write the files of weights together: their writers are divided ones.
  var isDivisible: Bool { get }

  /// Creates the files of weights, or opens those of the process that has created them.
  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter
}

/// Where files of weights are written, and what travels in them.
struct OutputFiles {
  let directory: URL
  let configuration: OutputConfiguration
  /// The recipe as YAML.
  let recipe: String
  /// Whose the files are.
  let role: WriterRole
  /// Tensors that an earlier run wrote; nil to start anew.
  let written: [String]?
  let observer: (any WritingObserver)?
}

extension OutputEncoding {
  func stack(of module: String) -> String? { nil }
  func nameReadBack(of name: String) -> String { name }
  func omits(_ name: String) -> Bool { false }
  func check(_ layout: OutputLayout) throws {}
  var isDivisible: Bool { true }

  /// What the parameter holds after it was written and read again.
  func expected(_ weight: Weight, as entry: OutputLayout.Entry) -> Weight {
    switch (weight, entry.storage) {
    case (.quantized(let tensor), _): expected(tensor, as: entry)
    case (.dense(let tensor), .dense(let type)): .dense(tensor.converted(to: type) ?? tensor)
    case (.dense, .quantized): weight
    }
  }

  /// A weight that stays what it is, in one tensor under its own name.
  func dense(_ weight: OutputLayout.Subject, as type: DataType) -> OutputLayout.Entry {
    OutputLayout.Entry(weight, storage: .dense(type), tensors: [TensorDescriptor(name: weight.name, dataType: type, shape: weight.shape)])
  }

  /// The values of such a weight: what a pass changed is float32 until it is written.
  func encodeDense(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    guard case .dense(let tensor) = weight, case .dense(let type) = entry.storage, let descriptor = entry.tensors.first else {
      throw GraphError(tensor: entry.name, "was to be quantized and is not")
    }
    guard let stored = tensor.dataType == type ? tensor : tensor.converted(to: type) else {
      throw GraphError(tensor: entry.name, "cannot be stored as \(type)")
    }
    return [(descriptor, stored)]
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    let writer = try SafeTensorsWriter(
      directory: output.directory, tensors: layout.tensors, role: output.role, resumingAfter: output.written, observer: output.observer)
    // What an earlier run wrote stays even if this one ends before it saves anything.
    if output.written != nil { try writer.suspend() }
    return writer
  }
}
