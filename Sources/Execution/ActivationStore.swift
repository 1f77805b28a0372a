import Diagnostics
import Foundation

/// The activations of all batches at one place of the model, in memory, or in a file without a name when they are too many.
///
/// A batch may be replaced by one of other width: blocks are visited in order, and each takes what the one before it left.
public final class ActivationStore {
  private var matrices: [Matrix?]
  private var spill: SpillFile?
  private var shapes: [(rows: Int, columns: Int)]
  private let slots: [Int]

  /// - Parameters:
  ///   - rows: of each batch.
  ///   - widest: the most columns that a batch will have.
  ///   - directory: where activations go instead of memory; nil for memory.
  public init(rows: [Int], widest: Int, spillingTo directory: URL? = nil) throws {
    matrices = Array(repeating: nil, count: rows.count)
    shapes = rows.map { ($0, 0) }
    var offset = 0
    slots = rows.map { rows in
      defer { offset += rows * widest * MemoryLayout<Float>.stride }
      return offset
    }
    spill = try directory.map { try SpillFile(in: $0) }
  }

  public var count: Int { shapes.count }

  /// The activations of a batch. Those in memory are shared, not copied: they must not be written.
  public func load(_ batch: Int) throws -> Matrix {
    if let matrix = matrices[batch] { return matrix }
    let (rows, columns) = shapes[batch]
    let matrix = Matrix(rows: rows, columns: columns)
    try spill?.read(matrix.bytes, at: slots[batch])
    return matrix
  }

  /// Some rows of a batch, rising.
  public func load(rows: [Int32], of batch: Int) throws -> Matrix {
    let columns = shapes[batch].columns
    let result = Matrix(uninitializedRows: rows.count, columns: columns)
    let width = columns * MemoryLayout<Float>.stride
    for (place, row) in rows.enumerated() {
      let target = UnsafeMutableRawBufferPointer(start: result.row(place), count: width)
      if let matrix = matrices[batch] {
        target.copyMemory(from: UnsafeRawBufferPointer(start: matrix.row(Int(row)), count: width))
      } else {
        try spill?.read(target, at: slots[batch] + Int(row) * width)
      }
    }
    return result
  }

  /// Keeps the activations of a batch.
  public func store(_ matrix: Matrix, for batch: Int) throws {
    shapes[batch] = (matrix.rows, matrix.columns)
    guard let spill else {
      matrices[batch] = matrix
      return
    }
    try spill.write(UnsafeRawBufferPointer(matrix.bytes), at: slots[batch])
  }
}

/// Scratch space on disk that vanishes with the process: a file that has no name any more. Its pages do not count as the process's memory.
public final class SpillFile: @unchecked Sendable {
  private let handle: Int32
  private let directory: URL
  private let economy: String

  /// - Parameter economy: what makes it smaller, in words, for a disk that is full.
  public init(in directory: URL, economy: String = "give fewer --calibration-samples") throws {
    self.directory = directory
    self.economy = economy
    var template = Array(directory.appendingPathComponent(".spill-XXXXXX").path.utf8CString)
    handle = mkstemp(&template)
    guard handle >= 0 else { throw failure("cannot hold scratch data") }
    unlink(template)
  }

  deinit { close(handle) }

  public func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let count = pread(handle, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count != 0 else {
        throw ExecutionError(directory.path, "has a scratch file that ends early", remedy: "run again", kind: .inputOutput)
      }
      guard count > 0 else { throw failure("cannot give back scratch data") }
      done += count
    }
  }

  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let count = pwrite(handle, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("cannot hold scratch data") }
      done += count
    }
  }

  /// More memory would not help in general: what gradients need always waits in such a file.
  private func failure(_ problem: String) -> ExecutionError {
    let code = errno
    let isFull = code == ENOSPC || code == EDQUOT
    return ExecutionError(
      directory.path, "\(problem): \(String(cString: strerror(code)))",
      remedy: isFull ? "free some space on that disk, write to another one, or \(economy)" : "",
      kind: .inputOutput)
  }
}

extension Matrix {
  /// All values as bytes, valid as long as the matrix is.
  package var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: pointer, count: rows * columns * MemoryLayout<Float>.stride)
  }
}
