import Foundation
import Synchronization
import Tensors

/// Files whose every byte has its place before the first piece is written: what the writers of checkpoints share.
///
/// The pieces are announced by name, and each is written once, in any order and from any thread.
final class AnnouncedOutput: Sendable {
  /// A file, what stands at its start, and its final size.
  struct Plan {
    let file: URL
    let header: [UInt8]
    let byteCount: Int
  }

  /// Where a piece goes.
  struct Place {
    /// The number of its file.
    let file: Int
    let offset: Int
    let byteCount: Int
    /// Bytes behind it that stay zero.
    var padding = 0

    var range: Range<Int> { offset..<offset + byteCount }
    /// The range with the zeros that belong to it.
    var padded: Range<Int> { offset..<offset + byteCount + padding }
  }

  private enum Progress { case announced, writing, written }

  private struct Entry {
    let place: Place
    let index: Int
  }

  private struct State {
    var progress: [Progress]
    var isFinished = false
  }

  /// What errors name that concern no file in particular.
  private let location: URL
  private let outputs: [OutputFile]
  private let entries: NameTable<Entry>
  private let state: Mutex<State>
  let role: WriterRole
  private let observer: (any WritingObserver)?

  /// Creates the files with their headers under temporary names, or opens them so.
  /// - Parameters:
  ///   - pieces: names, each once, and their places.
  ///   - role: whose the files are.
  ///   - written: pieces that an earlier run with the same plan wrote, and flushed; nil to start anew.
  init(
    _ plans: [Plan], pieces: [(name: String, place: Place)], location: URL, role: WriterRole, resumingAfter written: [String]?,
    observer: (any WritingObserver)?
  ) throws(CheckpointError) {
    var outputs: [OutputFile] = []
    for plan in plans {
      guard role == .owner else {
        outputs.append(try OutputFile(joining: plan.file, byteCount: plan.byteCount))
        continue
      }
      let output = try OutputFile(plan.file, byteCount: plan.byteCount, resuming: written != nil)
      try output.write(plan.header)
      observer?.began(output.file, at: output.temporary)
      observer?.wrote(0..<plan.header.count, of: output.file)
      outputs.append(output)
    }
    let entries = NameTable(pieces.enumerated().map { ($0.element.name, Entry(place: $0.element.place, index: $0.offset)) })
    var progress = [Progress](repeating: .announced, count: pieces.count)
    for name in written ?? [] {
      guard let entry = entries[name] else { continue }
      progress[entry.index] = .written
      observer?.wrote(entry.place.padded, of: outputs[entry.place.file].file)
    }
    self.location = location
    self.outputs = outputs
    self.entries = entries
    self.role = role
    self.observer = observer
    state = Mutex(State(progress: progress))
  }

  var files: [URL] { outputs.map(\.file) }

  /// Writes one announced piece, of exactly as many bytes as announced.
  func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard let entry = entries[name] else { throw CheckpointError.usage(file: location, tensor: name, "it was not announced") }
    let place = entry.place
    let output = outputs[place.file]
    guard bytes.count == place.byteCount else {
      throw CheckpointError.usage(
        file: output.file, tensor: name, "it was announced with \(place.byteCount) bytes and is written with \(bytes.count)")
    }
    let isFirst = state.withLock { state in
      guard !state.isFinished, state.progress[entry.index] == .announced else { return false }
      state.progress[entry.index] = .writing
      return true
    }
    guard isFirst else { throw CheckpointError.usage(file: output.file, tensor: name, "it is written twice") }
    try output.write(bytes, at: place.offset, tensor: name)
    state.withLock { $0.progress[entry.index] = .written }
    observer?.wrote(place.padded, of: output.file)
  }

  /// Notes pieces that other processes have written, and flushed.
  func acknowledge(_ names: [String]) throws(CheckpointError) {
    for name in names {
      guard let entry = entries[name] else { throw CheckpointError.usage(file: location, tensor: name, "it was not announced") }
      state.withLock { $0.progress[entry.index] = .written }
    }
  }

  /// Waits until what was written so far is on the disk, and keeps the unfinished files when the writer goes: a run that resumes continues them.
  func suspend() throws(CheckpointError) {
    for output in outputs {
      try output.flush()
      output.keepPartial()
    }
  }

  /// Checks that every piece was written that is to be written here, and waits until all of it is on the disk. Nothing can be written afterwards.
  func complete() throws(CheckpointError) {
    let (isFirst, progress) = state.withLock { state in
      defer { state.isFinished = true }
      return (!state.isFinished, state.progress)
    }
    guard isFirst else { throw CheckpointError.usage(file: location, "it is finished twice") }
    let missing = role == .owner ? entries.entries.filter { progress[$0.value.index] != .written } : []
    if let first = missing.first {
      let names = missing.prefix(3).map { CheckpointError.shortened($0.name) }.joined(separator: ", ")
      throw CheckpointError.usage(
        file: outputs[first.value.place.file].file,
        "\(missing.count) announced tensors were never written: \(names)\(missing.count > 3 ? " …" : "")")
    }
    for output in outputs { try output.flush() }
  }

  /// Gives the files their names; the owner does.
  func publish() throws(CheckpointError) {
    for output in outputs { try output.publish() }
  }
}
