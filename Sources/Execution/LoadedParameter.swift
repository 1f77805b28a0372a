import CKernels
import Diagnostics
import ModelGraph
import Tensors

/// A parameter ready for kernels: its values stay where they are (a mapped file, memory), only scales and vectors become float32.
final class LoadedParameter: @unchecked Sendable {
  let weight: Weight
  private let scales: Tensor?
  /// The float32 values of a vector (a gain, a bias); empty for matrices.
  let vector: [Float]
  /// The matrix as kernels take it. The pointers stay valid as long as this object keeps the tensors.
  private(set) var view = dso_weights()

  init(_ parameter: Parameter) throws {
    var loaded = try parameter.load()
    // No kernel computes in float64: such weights are rounded once.
    if case .dense(let tensor) = loaded, tensor.dataType == .float64, let narrow = tensor.asFloat32() { loaded = .dense(narrow) }
    weight = loaded
    switch weight {
    case .dense(let tensor):
      scales = nil
      guard tensor.shape.rank == 2 else {
        guard let values = tensor.float32Values() else { throw ExecutionError.notNumeric(parameter.name) }
        vector = values
        return
      }
      vector = []
      switch tensor.dataType {
      case .float32: view.storage = DSO_STORAGE_F32
      case .bfloat16: view.storage = DSO_STORAGE_BF16
      case .float16: view.storage = DSO_STORAGE_F16
      default: throw ExecutionError.notNumeric(parameter.name)
      }
      view.n = Int64(tensor.shape[0])
      view.k = Int64(tensor.shape[1])
      view.row_bytes = Int64(tensor.shape[1] * tensor.dataType.bitWidth / 8)
      view.data = tensor.withUnsafeBytes { $0.baseAddress }
    case .quantized(let tensor):
      vector = []
      // Kernels want scales aligned, which a mapped file does not promise.
      scales = Tensor(tensor.scales.float32Values() ?? [], shape: tensor.scales.shape)
      tensor.withKernelView { view = $0 }
      view.scales = scales?.withUnsafeBytes { $0.bindMemory(to: Float.self).baseAddress }
    }
  }

  /// One row of a table as float32.
  func copyRow(_ row: Int, to target: UnsafeMutablePointer<Float>) {
    switch weight {
    case .dense(let tensor):
      tensor.withUnsafeBytes { bytes in
        let size = Int(view.row_bytes)
        convertToFloat32(
          UnsafeRawBufferPointer(rebasing: bytes[row * size..<(row + 1) * size]), tensor.dataType, into: target,
          count: Int(view.k))
      }
    case .quantized:
      var view = view
      dso_dequantize(&view, Int64(row), Int64(row + 1), target, view.k)
    }
  }
}

/// A block's parameters, loaded together and released together.
public final class LoadedBlock: @unchecked Sendable {
  let parameters: [ParameterID: LoadedParameter]
  private let sources: [Parameter]

  /// Maps or reads what the nodes of `block` use.
  public init(_ block: Block, of graph: ModelGraph) throws {
    var loaded: [ParameterID: LoadedParameter] = [:]
    for node in graph.nodes[block.nodes] {
      for id in node.parameters where loaded[id] == nil { loaded[id] = try LoadedParameter(graph[id]) }
    }
    parameters = loaded
    sources = loaded.keys.map { graph[$0] }
  }

  // What was mapped would otherwise stay resident, block after block, until the whole model is.
  deinit { for parameter in sources { parameter.releasePages() } }
}

/// What can go wrong while a graph runs.
public struct ExecutionError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind = .badData) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }

  static func notNumeric(_ name: String) -> ExecutionError {
    ExecutionError(name, "is not a type that can be computed with", remedy: "store it as F32, F16 or BF16")
  }
}
