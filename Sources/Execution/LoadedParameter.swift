import CKernels
import Diagnostics
import ModelGraph
import Tensors

/// A parameter ready for kernels: its values stay where they are (a mapped file, memory), only scales and vectors become float32.
final class LoadedParameter: @unchecked Sendable {
  let weight: Weight
  private let scales: Tensor?
  private let minima: Tensor?
  /// What the minima of its groups are where the middle of the codes counts as zero; nil without minima.
  let centeredMinima: CenteredMinima?
  private let storedVector: [Float]
  /// The caller's matrix that stands in for the stored values.
  private let override: Matrix?
  /// The matrix as kernels take it. The pointers stay valid as long as this object keeps the tensors.
  private(set) var view = dso_weights()
  /// The scale of the inputs, where calibration has fixed one.
  let inputScale: Float?
  private let releasing: Parameter?

  deinit { releasing?.releasePages() }

  /// The float32 values of a vector (a gain, a bias); empty for matrices.
  var vector: [Float] {
    guard let override, view.n == 0 else { return storedVector }
    return Array(UnsafeBufferPointer(start: override.pointer, count: override.rows * override.columns))
  }

  /// Reads values where the caller keeps them, also those that it puts there later.
  init(_ parameter: Parameter, overriddenBy matrix: Matrix, inputScale: Float? = nil) throws {
    self.inputScale = inputScale
    releasing = nil
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
    (scales, minima, centeredMinima, storedVector, override) = (nil, nil, nil, [], matrix)
    guard dimensions.count == 2 else { return }
    view = dso_weights(matrix)
  }

  /// - Parameters:
  ///   - isPassing: whether the pages that were read are let go with this object.
  ///   - rows: the only ones that are computed with; nil for all.
  convenience init(_ parameter: Parameter, isPassing: Bool = false, rows: Range<Int>? = nil) throws {
    try self.init(parameter.load(rows: rows), named: parameter.name, releasing: isPassing ? parameter : nil)
  }

  init(_ values: Weight, named name: String, releasing: Parameter? = nil) throws {
    override = nil
    self.releasing = releasing
    var loaded = values
    // No kernel computes in float64: such weights are rounded once.
    if case .dense(let tensor) = loaded, tensor.dataType == .float64, let narrow = tensor.asFloat32() { loaded = .dense(narrow) }
    weight = loaded
    if case .quantized(let tensor) = loaded { inputScale = tensor.inputScale } else { inputScale = nil }
    switch weight {
    case .dense(let tensor):
      (scales, minima, centeredMinima) = (nil, nil, nil)
      guard tensor.shape.rank == 2 else {
        guard let values = tensor.float32Values() else { throw ExecutionError.notNumeric(name) }
        storedVector = values
        return
      }
      storedVector = []
      guard let storage = tensor.dataType.kernelStorage else { throw ExecutionError.notNumeric(name) }
      view.storage = storage
      view.n = Int64(tensor.shape[0])
      view.k = Int64(tensor.shape[1])
      view.row_bytes = Int64(tensor.shape[1] * tensor.dataType.bitWidth / 8)
      view.data = tensor.withUnsafeBytes { $0.baseAddress }
    case .quantized(let tensor):
      storedVector = []
      // Kernels want scales aligned, which a mapped file does not promise.
      scales = Tensor(tensor.scales.float32Values() ?? [], shape: tensor.scales.shape)
      minima = tensor.minima.map { Tensor($0.float32Values() ?? [], shape: $0.shape) }
      centeredMinima = CenteredMinima(tensor)
      tensor.withKernelView { view = $0 }
      view.scales = scales?.withUnsafeBytes { $0.bindMemory(to: Float.self).baseAddress }
      view.minima = minima?.withUnsafeBytes { $0.bindMemory(to: Float.self).baseAddress }
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
  private let parameters: [ParameterID: LoadedParameter]
  /// What is read each time that it is used, and let go at once.
  private let passing: [ParameterID: Parameter]
  /// What of it this process computes with.
  private let share: BlockShare
  private let sources: [Parameter]
  /// Keeps mapped pages in use.
  private let base: LoadedBlock?

  /// What becomes of a block's routed experts.
  public enum ExpertPolicy: Sendable {
    /// They stay loaded as the rest of the block does: for runs over few rows at a time.
    case kept
    /// Where they take more than so many bytes, each is read when rows come to it, and let go behind it.
    case readOnUse(beyond: Int)

    /// Read on use where they take more than ``LoadedBlock/largestExperts`` bytes.
    public static let passing = ExpertPolicy.readOnUse(beyond: LoadedBlock.largestExperts)
  }

  /// Bytes of a block's routed experts that are loaded together even where they may be read one by one.
  public static let largestExperts = 1 << 30

  /// Maps or reads what the nodes of `block` use.
  public convenience init(_ block: Block, of graph: ModelGraph, experts: ExpertPolicy = .kept) throws {
    try self.init(block, of: graph, experts: experts, share: BlockShare())
  }

  /// The same for runs by this interpreter alone: of what it divides with others its own rows.
  package convenience init(_ block: Block, of graph: ModelGraph, experts: ExpertPolicy = .kept, for runner: Interpreter) throws {
    try self.init(block, of: graph, experts: experts, share: runner.share(of: block, in: graph))
  }

  private init(_ block: Block, of graph: ModelGraph, experts: ExpertPolicy, share: BlockShare) throws {
    var loaded: [ParameterID: LoadedParameter] = [:]
    var passing: [ParameterID: Parameter] = [:]
    var isPassing = false
    if case .readOnUse(let limit) = experts { isPassing = graph.passesExperts(of: block, beyond: limit) }
    for index in block.nodes {
      for id in graph.nodes[index].parameters where loaded[id] == nil && passing[id] == nil && !share.absent.contains(id) {
        if isPassing, graph[id].role.isRoutedExpert {
          passing[id] = graph[id]
        } else {
          loaded[id] = try LoadedParameter(graph[id], rows: share.rows[id])
        }
      }
    }
    parameters = loaded
    self.passing = passing
    self.share = share
    base = nil
    sources = loaded.keys.map { graph[$0] }
  }

  private init(_ parameters: [ParameterID: LoadedParameter], over base: LoadedBlock) {
    self.parameters = parameters
    passing = base.passing.filter { parameters[$0.key] == nil }
    self.base = base
    share = base.share
    sources = []
  }

  /// A parameter of the block; nil for another's.
  func parameter(_ id: ParameterID) throws -> LoadedParameter? {
    if let parameter = parameters[id] { return parameter }
    return try passing[id].map { try LoadedParameter($0, isPassing: true, rows: share.rows[id]) }
  }

  /// The same block with other values for some of its parameters, not copied: what the caller writes into the matrices later is what later
  /// runs read. Nothing may be written between a recording run and its backward run.
  /// - Parameter values: float32, of the parameter's shape (a vector is any matrix of as many elements); those of other blocks are passed
  ///   over.
  public func overriding(_ values: [ParameterID: Matrix], of graph: ModelGraph) throws -> LoadedBlock {
    var replaced = parameters
    for (id, matrix) in values {
      guard let base = try parameter(id) else { continue }
      replaced[id] = try LoadedParameter(graph[id], overriddenBy: matrix, inputScale: base.inputScale)
    }
    return LoadedBlock(replaced, over: self)
  }

  // What was mapped would otherwise stay resident, block after block, until the whole model is.
  deinit { for parameter in sources { parameter.releasePages() } }
}

extension ModelGraph {
  /// Whether a block's experts are read one by one where they may be: together they would take too much.
  package func passesExperts(of block: Block, beyond limit: Int = LoadedBlock.largestExperts) -> Bool {
    var bytes = 0
    for index in block.nodes {
      for id in nodes[index].parameters where self[id].role.isRoutedExpert { bytes += self[id].loadedByteCount }
      if bytes > limit { return true }
    }
    return false
  }
}

extension Parameter {
  /// Bytes that the values take while kernels use them.
  package var loadedByteCount: Int {
    switch weightStorage {
    case .dense(let type): shape.elementCount * (type == .float64 ? 4 : type.bitWidth / 8)
    case .quantized(let scheme):
      shape.rank == 2
        ? shape[0]
          * (QuantizedTensor.wordsPerRow(inputs: shape[1], bits: scheme.bits) * 4
            + QuantizedTensor.groupCount(inputs: shape[1], scheme.granularity) * (scheme.offset == .minimum ? 16 : 6))
        : 0
    case nil: 0
    }
  }
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
