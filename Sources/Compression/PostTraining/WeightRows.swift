import Execution
import Tensors

/// The rows of a weight matrix as float32, wherever they lie: in a checkpoint's tensor, or in a working copy.
enum WeightRows: Sendable {
  /// Of rank 2 and a floating-point type.
  case tensor(Tensor)
  case matrix(Matrix)

  var rows: Int {
    switch self {
    case .tensor(let tensor): tensor.shape[0]
    case .matrix(let matrix): matrix.rows
    }
  }

  var columns: Int {
    switch self {
    case .tensor(let tensor): tensor.shape[1]
    case .matrix(let matrix): matrix.columns
    }
  }

  /// What scales are stored as unless asked otherwise: the weight's own type, float32 for float64.
  var scaleType: DataType {
    switch self {
    case .tensor(let tensor): tensor.dataType == .float64 ? .float32 : tensor.dataType
    case .matrix: .float32
    }
  }

  /// Writes `columns` floats.
  func read(row: Int, into target: UnsafeMutablePointer<Float>) {
    switch self {
    case .tensor(let tensor):
      tensor.withUnsafeBytes { bytes in
        let width = bytes.count / max(1, rows)
        convertToFloat32(
          UnsafeRawBufferPointer(rebasing: bytes[row * width..<(row + 1) * width]), tensor.dataType, into: target, count: columns)
      }
    case .matrix(let matrix): target.update(from: matrix.row(row), count: matrix.columns)
    }
  }
}
