import CKernels
import Execution
import Foundation

/// How the moments of an optimizer are kept.
public enum StatePrecision: String, Codable, Sendable, Hashable, CaseIterable {
  case float32
  /// A byte each, in blocks of 256 with a scale of their own (Dettmers et al. 2022, 2110.02861).
  case int8
}

/// The first and second moment of one variable.
final class Moments {
  enum Storage {
    case wide(means: Matrix, variances: Matrix)
    /// Bytes of means, then of variances; scales of both alike.
    case narrow(bytes: Bytes, scales: Matrix)
  }

  let count: Int
  let storage: Storage

  init(count: Int, precision: StatePrecision) {
    self.count = count
    switch precision {
    case .float32: storage = .wide(means: Matrix(rows: 1, columns: count), variances: Matrix(rows: 1, columns: count))
    case .int8:
      storage = .narrow(bytes: Bytes(count: 2 * count), scales: Matrix(rows: 2, columns: Self.blocks(count)))
    }
  }

  /// The raw state, in a fixed order.
  var parts: [UnsafeMutableRawBufferPointer] {
    switch storage {
    case .wide(let means, let variances): [means.bytes, variances.bytes]
    case .narrow(let bytes, let scales): [bytes.buffer, scales.bytes]
    }
  }

  static func blocks(_ count: Int) -> Int { (count + Int(DSO_STATE_BLOCK) - 1) / Int(DSO_STATE_BLOCK) }

  func step(_ step: dso_adamw, gradient: Matrix, values: Matrix, pool: ThreadPool) {
    let size = Int(DSO_STATE_BLOCK)
    pool.ranges(of: Self.blocks(count), grain: 64) { blocks in
      var step = step
      let begin = blocks.lowerBound * size
      let part = Int64(min(count, blocks.upperBound * size) - begin)
      switch storage {
      case .wide(let means, let variances):
        dso_adamw_step(&step, gradient.pointer + begin, values.pointer + begin, means.pointer + begin, variances.pointer + begin, part)
      case .narrow(let bytes, let scales):
        StateMap.withBoth { signed, unsigned in
          dso_adamw_step_u8(
            &step, signed, unsigned, gradient.pointer + begin, values.pointer + begin, bytes.pointer + begin,
            scales.row(0) + blocks.lowerBound, bytes.pointer + count + begin, scales.row(1) + blocks.lowerBound, part)
        }
      }
    }
  }

  /// Memory that frees itself.
  final class Bytes: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<UInt8>
    let buffer: UnsafeMutableRawBufferPointer

    init(count: Int) {
      pointer = .allocate(capacity: max(1, count))
      pointer.initialize(repeating: 0, count: max(1, count))
      buffer = UnsafeMutableRawBufferPointer(start: pointer, count: count)
    }

    deinit { pointer.deallocate() }
  }
}
