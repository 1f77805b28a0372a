import CKernels

/// Activations: a float32 matrix `[rows, columns]` in aligned memory of its own, one token a row.
public final class Matrix: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  public let pointer: UnsafeMutablePointer<Float>

  /// Bytes of the pages that it lies in; 0 when it lies among others.
  private let mappedBytes: Int64

  /// A matrix of zeros.
  public convenience init(rows: Int, columns: Int) {
    self.init(uninitializedRows: rows, columns: columns)
    pointer.initialize(repeating: 0, count: rows * columns + Self.slack)
  }

  /// A matrix whose every element is written before it is read.
  init(uninitializedRows rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
    let count = rows * columns + Self.slack
    let bytes = count * MemoryLayout<Float>.stride
    var (size, isZero) = (Int64(0), Int32(0))
    let pages = bytes >= Self.ownPages ? dso_map_pages(Int64(bytes), &size, &isZero) : nil
    let memory = pages ?? UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    mappedBytes = pages == nil ? 0 : size
    pointer = memory.bindMemory(to: Float.self, capacity: count)
  }

  /// A vector behind the last element, as the kernels' tails may read it.
  private static let slack = 16
  /// Matrices of as many bytes have pages of their own: the system would clear new ones for each.
  private static let ownPages = 1 << 22

  deinit {
    if mappedBytes > 0 { dso_unmap_pages(pointer, mappedBytes) } else { pointer.deallocate() }
  }

  /// The first element of a row.
  public func row(_ index: Int) -> UnsafeMutablePointer<Float> { pointer + index * columns }

  /// A row as values.
  public func values(ofRow index: Int) -> [Float] { Array(UnsafeBufferPointer(start: row(index), count: columns)) }
}

extension Matrix {
  /// Some of the rows as a matrix of their own.
  public func copy(rows range: Range<Int>) -> Matrix {
    let result = Matrix(rows: range.count, columns: columns)
    result.pointer.update(from: row(range.lowerBound), count: range.count * columns)
    return result
  }
}
