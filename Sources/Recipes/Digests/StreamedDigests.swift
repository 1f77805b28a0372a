import Formats
import Foundation
import Tensors

/// The SHA-256 of files that a run reads and writes, found out beside its other work: of the inputs from the start, of the outputs as they are
/// written. Two files are digested side by side, which takes a processor little longer than one.
///
/// What cannot be read here has no digest here; who needs it reads the file again, and finds the reason.
final class StreamedDigests: WritingObserver, @unchecked Sendable {
  /// Bytes that are taken at a time.
  private static let piece = 1 << 19
  /// Bytes behind which mapped pages are let go.
  private static let kept = 16 << 20

  /// A file and how much of it is digested.
  private struct Reading {
    let file: URL
    let mapping: MappedFile
    var digest = ContentDigest()
    var position = 0
    var released = 0
    /// How much of it may be read.
    var available: Int

    /// What can be taken now: whole blocks, but for the file's end, so that two digests stay at the start of one.
    var count: Int {
      let count = min(StreamedDigests.piece, available - position)
      return position + count == mapping.bytes.count ? count : count / 64 * 64
    }
    var isDone: Bool { position == mapping.bytes.count }
  }

  /// A file in the making: which of its bytes are written.
  private struct Output {
    let file: URL
    let temporary: URL
    var prefix = 0
    var apart: [Int: Int] = [:]
  }

  private let condition = NSCondition()
  private var inputs: [URL]
  private var outputs: [Output] = []
  private var places: [URL: Int] = [:]
  private var results: [URL: String] = [:]
  private var isClosed = false
  private var isCancelled = false
  private var isRunning = true

  /// Begins with the inputs.
  init(of inputs: [URL]) {
    self.inputs = inputs
    let thread = Thread { [self] in
      run()
      condition.lock()
      isRunning = false
      condition.broadcast()
      condition.unlock()
    }
    thread.stackSize = 1 << 20
    thread.start()
  }

  func began(_ file: URL, at temporary: URL) {
    condition.lock()
    places[file] = outputs.count
    outputs.append(Output(file: file, temporary: temporary))
    condition.signal()
    condition.unlock()
  }

  func wrote(_ range: Range<Int>, of file: URL) {
    condition.lock()
    defer { condition.unlock() }
    guard !range.isEmpty, let index = places[file] else { return }
    outputs[index].apart[range.lowerBound] = range.upperBound
    while let end = outputs[index].apart.removeValue(forKey: outputs[index].prefix), end > outputs[index].prefix {
      outputs[index].prefix = end
    }
    condition.signal()
  }

  /// No more outputs come; those there are wholly written.
  func close() {
    condition.lock()
    isClosed = true
    condition.signal()
    condition.unlock()
  }

  /// Nobody asks any more.
  func cancel() {
    condition.lock()
    isCancelled = true
    condition.signal()
    condition.unlock()
  }

  /// Waits until everything is digested.
  func finish() -> [URL: String] {
    close()
    condition.lock()
    defer { condition.unlock() }
    while isRunning { condition.wait() }
    return results
  }

  private func run() {
    var slots: [Reading?] = [nil, nil]
    var nextOutput = 0
    while true {
      condition.lock()
      while true {
        for index in slots.indices {
          // An input whose opening failed leaves its place to the next file.
          while slots[index] == nil, !inputs.isEmpty { slots[index] = Self.open(inputs.removeFirst()) }
          while slots[index] == nil, nextOutput < outputs.count {
            slots[index] = Self.open(outputs[nextOutput].file, at: outputs[nextOutput].temporary)
            nextOutput += 1
          }
          if let reading = slots[index], let place = places[reading.file] {
            slots[index]?.available = min(outputs[place].prefix, reading.mapping.bytes.count)
          }
        }
        if isCancelled || slots.contains(where: { ($0?.count ?? 0) > 0 }) { break }
        // Without a piece to take everything is done, or what is missing will never come.
        if isClosed {
          if nextOutput == outputs.count, inputs.isEmpty { break }
          slots = [nil, nil]
        } else {
          condition.wait()
        }
      }
      let stops = isCancelled || !slots.contains { ($0?.count ?? 0) > 0 }
      condition.unlock()
      if stops { return }
      advance(&slots)
    }
  }

  /// Digests a piece of either file, or of both.
  private func advance(_ slots: inout [Reading?]) {
    let counts = Self.counts(slots[0]?.count ?? 0, slots[1]?.count ?? 0)
    if counts.first > 0, counts.second > 0, var first = slots[0], var second = slots[1] {
      ContentDigest.update(&first.digest, Self.bytes(first, counts.first), &second.digest, Self.bytes(second, counts.second))
      slots = [settled(&first, counts.first), settled(&second, counts.second)]
      return
    }
    for (index, count) in [counts.first, counts.second].enumerated() where count > 0 {
      guard var only = slots[index] else { continue }
      only.digest.update(Self.bytes(only, count))
      slots[index] = settled(&only, count)
    }
  }

  /// How much to take of two files at once, of which so much can be taken: as much of both, or all of one. A file's end that is no whole block
  /// is taken alone, so that the other stays at the start of one, where two are digested side by side.
  static func counts(_ first: Int, _ second: Int) -> (first: Int, second: Int) {
    if first == 0 || second == 0 { return (first, second) }
    let common = min(first, second)
    if common < 64 { return first <= second ? (first, 0) : (0, second) }
    return (common / 64 * 64, common / 64 * 64)
  }

  /// Moves on; nil when the file is done.
  private func settled(_ reading: inout Reading, _ count: Int) -> Reading? {
    reading.position += count
    if reading.position - reading.released >= Self.kept || reading.isDone {
      reading.mapping.advise(.doNotNeed, reading.released..<reading.position)
      reading.released = reading.position
    }
    guard reading.isDone else { return reading }
    condition.lock()
    results[reading.file] = reading.digest.hexadecimal()
    condition.unlock()
    return nil
  }

  private static func bytes(_ reading: Reading, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: reading.mapping.bytes[reading.position..<reading.position + count])
  }

  private static func open(_ file: URL, at path: URL? = nil) -> Reading? {
    guard let mapping = try? MappedFile(path ?? file) else { return nil }
    return Reading(file: file, mapping: mapping, available: path == nil ? mapping.bytes.count : 0)
  }
}
