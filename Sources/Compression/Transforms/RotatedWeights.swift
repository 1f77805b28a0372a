import CKernels
import Diagnostics
import ModelGraph
import Tensors

/// A model's parameters with transforms folded in, computed whenever one is read and rounded to the type it is stored in: what is seen is
/// what is written.
struct RotatedWeights: WeightSource {
  /// What becomes of one parameter.
  struct Change: Sendable {
    /// What is read.
    let origin: Parameter
    /// What columns are multiplied by before they are turned.
    var gain: Parameter?
    /// Acts on the inputs of a matrix, or on a vector.
    var inputs: HadamardTransform?
    /// Acts on the outputs of a matrix.
    var outputs: HadamardTransform?
    /// A gain that was moved into the layers behind it.
    var becomesOnes = false

    init(_ origin: Parameter) { self.origin = origin }

    /// No format stores float64 results.
    var type: DataType { origin.valueType ?? .float32 }
  }

  private let changes: [TensorName: Change]

  init(_ changes: [(name: String, change: Change)]) {
    self.changes = Dictionary(changes.map { (TensorName($0.name), $0.change) }, uniquingKeysWith: { first, _ in first })
  }

  var names: [String] { changes.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    changes[TensorName(name)].map { ($0.origin.shape, .dense($0.type)) }
  }

  func release(_ name: String) {
    guard let change = changes[TensorName(name)] else { return }
    change.origin.releasePages()
    change.gain?.releasePages()
  }

  func load(_ name: String) throws -> Weight {
    guard let change = changes[TensorName(name)] else {
      throw CompressionError(name, "is no parameter of the rotated model", kind: .badData)
    }
    let shape = change.origin.shape
    if change.becomesOnes {
      return try rounded(Tensor([Float](repeating: 1, count: shape.elementCount), shape: shape), as: change.type, name)
    }
    guard case .dense(let tensor) = try change.origin.load(), tensor.dataType.isFloatingPoint else {
      throw CompressionError(name, "is quantized: its values cannot be rotated", remedy: "start from the unquantized model", kind: .usage)
    }
    let gain = try change.gain.map { try $0.load().float32()?.float32Values() ?? [] }
    let (rows, columns) = shape.rank == 2 ? (shape[0], shape[1]) : (1, shape.elementCount)
    guard gain.map({ $0.count == columns }) ?? true, change.inputs.map({ $0.width == columns }) ?? true,
      change.outputs.map({ $0.width == rows }) ?? true
    else { throw CompressionError(name, "of \(shape) does not fit its rotation", kind: .badData) }
    let result = Tensor(dataType: .float32, shape: shape) { bytes in
      guard let values = bytes.bindMemory(to: Float.self).baseAddress else { return }
      tensor.withUnsafeBytes { convertToFloat32($0, tensor.dataType, into: values, count: shape.elementCount) }
      if let gain {
        for row in 0..<rows { dso_scale_elements(values + row * columns, gain, 1, Int64(columns)) }
      }
      change.inputs?.transformRows(values, rows: rows)
      change.outputs?.transformColumns(values, columns: columns)
    }
    return try rounded(result, as: change.type, name)
  }

  private func rounded(_ tensor: Tensor, as type: DataType, _ name: String) throws(CompressionError) -> Weight {
    guard let stored = tensor.converted(to: type) else {
      throw CompressionError(name, "cannot be rounded to \(type.rawValue)", kind: .badData)
    }
    // Of a matrix whose largest values stand alone a rotation makes smaller ones; of one that is full of them, larger.
    let count = stored.notFiniteCount
    guard count == 0 || tensor.notFiniteCount > 0 else {
      throw CompressionError(
        name, "has \(count) values beyond \(type.rawValue) once it is rotated",
        remedy: "leave the rotation out, or store the model as BF16",
        kind: .badData)
    }
    return .dense(stored)
  }
}
