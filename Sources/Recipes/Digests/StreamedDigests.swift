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
    outputs.append(Output(file: file, temporary: temporary))
    condition.signal()
    condition.unlock()
  }

  func wrote(_ range: Range<Int>, of file: URL) {
    condition.lock()
    defer { condition.unlock() }
    guard let index = outputs.firstIndex(where: { $0.file == file }) else { return }
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
          if let reading = slots[index], let known = outputs.first(where: { $0.file == reading.file }) {
            slots[index]?.available = min(known.prefix, reading.mapping.bytes.count)
          }
        }
        let hasWork = slots.contains { ($0?.count ?? 0) > 0 }
        if isCancelled || hasWork || (isClosed && nextOutput == outputs.count && inputs.isEmpty) { break }
        condition.wait()
      }
      // Without a piece to take everything is done, or what is missing will never come.
      let stops = isCancelled || !slots.contains { ($0?.count ?? 0) > 0 }
      condition.unlock()
      if stops { return }
      advance(&slots)
    }
  }

  /// Digests a piece of either file, or of both.
  private func advance(_ slots: inout [Reading?]) {
    if var first = slots[0], var second = slots[1], first.count > 0, second.count > 0 {
      let common = min(first.count, second.count)
      let count = common < 64 ? common : common / 64 * 64
      ContentDigest.update(&first.digest, Self.bytes(first, count), &second.digest, Self.bytes(second, count))
      slots = [settled(&first, count), settled(&second, count)]
      return
    }
    for index in slots.indices {
      guard var only = slots[index], only.count > 0 else { continue }
      let count = only.count
      only.digest.update(Self.bytes(only, count))
      slots[index] = settled(&only, count)
    }
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
