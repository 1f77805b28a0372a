import Foundation
import StructuredData
import Synchronization
import Tensors

/// Writes a safetensors checkpoint: `model.safetensors`, or shards and `model.safetensors.index.json` when it is larger than one shard.
///
/// All tensors are announced first, so every byte has its place and tensors may be written in any order and from several threads. For the
/// same tensors each file has the bytes that the reference writer makes.
public final class SafeTensorsWriter: CheckpointWriter, Sendable {
  /// The largest data of one shard unless told otherwise, in bytes; a single larger tensor gets a shard of its own.
  public static let defaultShardBytes = 5_000_000_000

  private enum Progress { case announced, writing, written }

  private struct Place {
    let shard: Int
    let offset: Int
    let byteCount: Int
    let index: Int

    var range: Range<Int> { offset..<offset + byteCount }
  }

  private struct State {
    var progress: [Progress]
    var isFinished = false
  }

  private let directory: URL
  private let shards: [OutputFile]
  private let places: NameTable<Place>
  private let totalBytes: Int
  private let state: Mutex<State>
  private let observer: (any WritingObserver)?

  /// The files that `finish()` leaves: the shards in order, then the index when there is one.
  public let files: [URL]

  /// Plans the shards and creates their files under temporary names.
  ///
  /// - Parameters:
  ///   - directory: an existing directory without a safetensors checkpoint in it.
  ///   - tensors: all tensors in the order of the model: neighbours share a shard.
  ///   - metadata: `__metadata__` of every file; transformers wants `format`.
  ///   - written: tensors that an earlier run with the same announcements wrote, and flushed, in this directory; nil to start anew.
  ///   - observer: told what is written.
  public init(
    directory: URL, tensors: [TensorDescriptor], maximumShardBytes: Int = SafeTensorsWriter.defaultShardBytes,
    metadata: [String: String] = ["format": "pt"], resumingAfter written: [String]? = nil, observer: (any WritingObserver)? = nil
  ) throws(CheckpointError) {
    let plan = try Self.plan(tensors, maximumShardBytes: maximumShardBytes, metadata: metadata, directory: directory)
    if written == nil { try Self.refuseLeftovers(in: directory) }
    let names = Self.fileNames(count: plan.count)
    var shards: [OutputFile] = []
    var places: [(String, Place)] = []
    for (layout, name) in zip(plan, names) {
      let output = try OutputFile(
        directory.appendingPathComponent(name), byteCount: layout.header.count + layout.dataCount, resuming: written != nil)
      try output.write(layout.header)
      observer?.began(output.file, at: output.temporary)
      observer?.wrote(0..<layout.header.count, of: output.file)
      for entry in layout.entries {
        let place = Place(
          shard: shards.count, offset: layout.header.count + entry.range.lowerBound, byteCount: entry.range.count, index: places.count)
        places.append((entry.descriptor.name, place))
      }
      shards.append(output)
    }
    self.directory = directory
    self.shards = shards
    self.places = NameTable(places)
    totalBytes = plan.reduce(0) { $0 + $1.dataCount }
    var progress = [Progress](repeating: .announced, count: places.count)
    for name in written ?? [] {
      guard let place = self.places[name] else { continue }
      progress[place.index] = .written
      observer?.wrote(place.range, of: shards[place.shard].file)
    }
    self.observer = observer
    state = Mutex(State(progress: progress))
    files = shards.map(\.file) + (shards.count > 1 ? [directory.appendingPathComponent(SafeTensorsIndex.fileName)] : [])
  }

  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard let place = places[name] else {
      throw CheckpointError.usage(file: directory, tensor: name, "it was not announced")
    }
    let output = shards[place.shard]
    guard bytes.count == place.byteCount else {
      throw CheckpointError.usage(
        file: output.file, tensor: name, "it was announced with \(place.byteCount) bytes and is written with \(bytes.count)")
    }
    let isFirst = state.withLock { state in
      guard !state.isFinished, state.progress[place.index] == .announced else { return false }
      state.progress[place.index] = .writing
      return true
    }
    guard isFirst else { throw CheckpointError.usage(file: output.file, tensor: name, "it is written twice") }
    try output.write(bytes, at: place.offset, tensor: name)
    state.withLock { $0.progress[place.index] = .written }
    observer?.wrote(place.range, of: output.file)
  }

  /// Waits until what was written so far is on the disk, and keeps the unfinished files when the writer goes: a run that resumes continues them.
  public func suspend() throws(CheckpointError) {
    for shard in shards {
      try shard.flush()
      shard.keepPartial()
    }
  }

  public func finish() throws(CheckpointError) {
    let (isFirst, progress) = state.withLock { state in
      defer { state.isFinished = true }
      return (!state.isFinished, state.progress)
    }
    guard isFirst else { throw CheckpointError.usage(file: directory, "it is finished twice") }
    let missing = places.entries.filter { progress[$0.value.index] != .written }
    if let first = missing.first {
      let names = missing.prefix(3).map { CheckpointError.shortened($0.name) }.joined(separator: ", ")
      throw CheckpointError.usage(
        file: shards[first.value.shard].file,
        "\(missing.count) announced tensors were never written: \(names)\(missing.count > 3 ? " …" : "")")
    }
    for shard in shards { try shard.flush() }
    let index = try shards.count > 1 ? writeIndex() : nil
    for shard in shards { try shard.publish() }
    // The index last: whoever sees it finds every shard.
    try index?.publish()
    try OutputFile.flushDirectory(directory)
  }

  private func writeIndex() throws(CheckpointError) -> OutputFile {
    var map = JSONObject()
    for entry in places.entries { map[entry.name] = .string(shards[entry.value.shard].file.lastPathComponent) }
    let document: JSONValue = ["metadata": ["total_size": .integer(Int64(totalBytes))], "weight_map": .object(map)]
    let bytes = Array(document.text().utf8)
    let output = try OutputFile(directory.appendingPathComponent(SafeTensorsIndex.fileName), byteCount: bytes.count)
    try output.write(bytes)
    try output.flush()
    return output
  }
}
