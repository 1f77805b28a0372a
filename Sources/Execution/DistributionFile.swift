import CKernels
import Foundation

/// A teacher's distributions for windows of a text, on the disk: each is computed once, however often its window is trained on. A token takes two
/// bytes for every probability (float16) and two or four for its number.
public final class DistributionFile {
  /// Tokens of each distribution.
  public let kept: Int
  /// What logits were divided by.
  public let temperature: Float
  /// Rows of a window.
  private let rows: Int
  private let idBytes: Int
  private let file: SpillFile
  private var known: Set<Int> = []

  /// - Parameter vocabulary: tokens of the model.
  public init(windowRows: Int, keeping kept: Int, vocabulary: Int, temperature: Float, in directory: URL) throws {
    rows = windowRows
    self.kept = min(kept, vocabulary)
    self.temperature = temperature
    idBytes = vocabulary <= 1 << 16 ? 2 : 4
    file = try SpillFile(in: directory, economy: "keep fewer --top-tokens")
  }

  /// Bytes of a window on the disk.
  public var windowBytes: Int { rows * kept * (2 + idBytes) }

  /// Whether a window's distributions are on the disk.
  public func holds(_ window: Int) -> Bool { known.contains(window) }

  /// Keeps the distributions of some windows, one behind the other.
  public func store(_ distributions: LossTarget.PartialDistributions, for windows: [Int]) throws {
    let count = rows * kept
    for (place, window) in windows.enumerated() {
      var bytes = [UInt8](repeating: 0, count: windowBytes)
      try bytes.withUnsafeMutableBytes { target in
        let span = place * count..<(place + 1) * count
        distributions.probabilities.withUnsafeBufferPointer { source in
          if let source = source.baseAddress, let halves = target.bindMemory(to: UInt16.self).baseAddress {
            dso_convert_f32_to_f16(source + span.lowerBound, halves, Int64(count))
          }
        }
        let ids = UnsafeMutableRawBufferPointer(rebasing: target[(count * 2)...])
        for (index, id) in distributions.ids[span].enumerated() {
          if idBytes == 2 {
            ids.storeBytes(of: UInt16(truncatingIfNeeded: id), toByteOffset: index * 2, as: UInt16.self)
          } else {
            ids.storeBytes(of: id, toByteOffset: index * 4, as: UInt32.self)
          }
        }
        try file.write(UnsafeRawBufferPointer(target), at: window * windowBytes)
      }
      known.insert(window)
    }
  }

  /// The distributions of windows that it holds, one behind the other.
  public func load(_ windows: [Int]) throws -> LossTarget.PartialDistributions {
    let count = rows * kept
    var result = LossTarget.PartialDistributions(
      kept: kept, ids: [], probabilities: Array(repeating: 0, count: windows.count * count), temperature: temperature)
    result.ids.reserveCapacity(windows.count * count)
    var bytes = [UInt8](repeating: 0, count: windowBytes)
    for (place, window) in windows.enumerated() {
      try bytes.withUnsafeMutableBytes { target in
        try file.read(target, at: window * windowBytes)
        result.probabilities.withUnsafeMutableBufferPointer { sink in
          if let sink = sink.baseAddress, let halves = target.baseAddress {
            dso_convert_f16_to_f32(halves, sink + place * count, Int64(count))
          }
        }
        let ids = UnsafeRawBufferPointer(rebasing: target[(count * 2)...])
        for index in 0..<count {
          result.ids.append(
            idBytes == 2
              ? UInt32(ids.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
              : ids.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
        }
      }
    }
    return result
  }
}
