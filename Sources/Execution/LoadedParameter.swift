import CKernels
import Diagnostics
import ModelGraph
import Tensors

/// A parameter ready for kernels: its values stay where they are (a mapped file, memory), only scales and vectors become float32.
final class LoadedParameter: @unchecked Sendable {
  let weight: Weight
  private let scales: Tensor?
  private let storedVector: [Float]
  /// The caller's matrix that stands in for the stored values.
  private let override: Matrix?
  /// The matrix as kernels take it. The pointers stay valid as long as this object keeps the tensors.
  private(set) var view = dso_weights()
  /// The scale of the inputs, where calibration has fixed one.
  let inputScale: Float?

  /// The float32 values of a vector (a gain, a bias); empty for matrices.
  var vector: [Float] {
    guard let override, view.n == 0 else { return storedVector }
    return Array(UnsafeBufferPointer(start: override.pointer, count: override.rows * override.columns))
  }

  /// Reads values where the caller keeps them, also those that it puts there later.
  init(_ parameter: Parameter, overriddenBy matrix: Matrix, inputScale: Float? = nil) throws {
    self.inputScale = inputScale
    let dimensions = parameter.shape.dimensions
    let fits = dimensions.count == 2 ? dimensions == [matrix.rows, matrix.columns] : parameter.shape.elementCount == matrix.values
    guard fits,
      let tensor = Tensor(
        viewing: MatrixStorage(matrix), offset: 0, byteCount: matrix.values * 4, dataType: .float32, shape: parameter.shape)
    else {
      throw ExecutionError(
        parameter.name, "cannot be \(matrix.rows) × \(matrix.columns) values, the model needs \(parameter.shape)", kind: .usage)
    }
    weight = .dense(tensor)
    (scales, storedVector, override) = (nil, [], matrix)
    guard dimensions.count == 2 else { return }
    view = dso_weights(matrix)
  }

  init(_ parameter: Parameter) throws {
    override = nil
    var loaded = try parameter.load()
    // No kernel computes in float64: such weights are rounded once.
    if case .dense(let tensor) = loaded, tensor.dataType == .float64, let narrow = tensor.asFloat32() { loaded = .dense(narrow) }
    weight = loaded
    if case .quantized(let tensor) = loaded { inputScale = tensor.inputScale } else { inputScale = nil }
    switch weight {
    case .dense(let tensor):
      scales = nil
      guard tensor.shape.rank == 2 else {
        guard let values = tensor.float32Values() else { throw ExecutionError.notNumeric(parameter.name) }
        storedVector = values
        return
      }
      storedVector = []
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
      storedVector = []
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

/// A matrix as the storage of a tensor.
private final class MatrixStorage: TensorStorage, @unchecked Sendable {
  private let matrix: Matrix

  init(_ matrix: Matrix) {
    self.matrix = matrix
    super.init(bytes: UnsafeRawBufferPointer(start: matrix.pointer, count: matrix.values * MemoryLayout<Float>.stride))
  }
}

/// A block's parameters, loaded together and released together.
public final class LoadedBlock: @unchecked Sendable {
  let parameters: [ParameterID: LoadedParameter]
  private let sources: [Parameter]
  /// Keeps mapped pages in use.
  private let base: LoadedBlock?

  /// Maps or reads what the nodes of `block` use.
  public init(_ block: Block, of graph: ModelGraph) throws {
    var loaded: [ParameterID: LoadedParameter] = [:]
    for node in graph.nodes[block.nodes] {
      for id in node.parameters where loaded[id] == nil { loaded[id] = try LoadedParameter(graph[id]) }
    }
    parameters = loaded
    base = nil
    sources = loaded.keys.map { graph[$0] }
  }

  private init(_ parameters: [ParameterID: LoadedParameter], over base: LoadedBlock) {
    self.parameters = parameters
    self.base = base
    sources = []
  }

  /// The same block with other values for some of its parameters, not copied: what the caller writes into the matrices later is what later
  /// runs read. Nothing may be written between a recording run and its backward run.
  /// - Parameter values: float32, of the parameter's shape (a vector is any matrix of as many elements); those of other blocks are passed
  ///   over.
  public func overriding(_ values: [ParameterID: Matrix], of graph: ModelGraph) throws -> LoadedBlock {
    var replaced = parameters
    for (id, matrix) in values {
      guard let base = replaced[id] else { continue }
      replaced[id] = try LoadedParameter(graph[id], overriddenBy: matrix, inputScale: base.inputScale)
    }
    return LoadedBlock(replaced, over: self)
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
