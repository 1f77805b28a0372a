import CKernels
import ModelGraph
import Tensors

/// Every block of a model, loaded: for what runs over all of it again and again, as training does.
///
/// What stands in a checkpoint stays mapped there; only what is overridden takes memory of its own.
public struct LoadedModel: Sendable {
  public let graph: ModelGraph
  /// In the order of the graph's blocks.
  public let blocks: [LoadedBlock]

  public init(_ graph: ModelGraph) throws {
    self.graph = graph
    blocks = try graph.blocks.map { try LoadedBlock($0, of: graph) }
  }

  private init(_ graph: ModelGraph, _ blocks: [LoadedBlock]) {
    self.graph = graph
    self.blocks = blocks
  }

  /// The same model with other values for some of its parameters, not copied: see ``LoadedBlock/overriding(_:of:)``.
  public func overriding(_ values: [ParameterID: Matrix]) throws -> LoadedModel {
    LoadedModel(graph, try blocks.map { try $0.overriding(values, of: graph) })
  }
}

extension Matrix {
  /// A parameter's values, dequantized to float32: a matrix in its shape, a vector as one row.
  public convenience init(_ parameter: Parameter) throws {
    let dimensions = parameter.shape.dimensions
    self.init(rows: dimensions.dropLast().reduce(1, *), columns: dimensions.last ?? 1)
    switch try parameter.load() {
    case .dense(let tensor):
      guard tensor.dataType.isFloatingPoint else { throw ExecutionError.notNumeric(parameter.name) }
      tensor.withUnsafeBytes { convertToFloat32($0, tensor.dataType, into: pointer, count: values) }
    case .quantized(let tensor):
      tensor.withKernelView { view in
        var view = view
        dso_dequantize(&view, 0, view.n, pointer, view.k)
      }
    }
  }

  /// A copy of the values, as a tensor of as many.
  package func tensor(_ shape: Shape) -> Tensor {
    Tensor(dataType: .float32, shape: shape) { target in
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<target.count]))
    }
  }
}
