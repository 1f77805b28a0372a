import Foundation
import StructuredData
import Tensors

/// Writes a safetensors checkpoint: `model.safetensors`, or shards and `model.safetensors.index.json` when it is larger than one shard.
///
/// All tensors are announced first, so every byte has its place and tensors may be written in any order and from several threads. For the
/// same tensors each file has the bytes that the reference writer makes.
public final class SafeTensorsWriter: CheckpointWriter, Sendable {
  /// The largest data of one shard unless told otherwise, in bytes; a single larger tensor gets a shard of its own.
  public static let defaultShardBytes = 5_000_000_000

  private let directory: URL
  private let output: AnnouncedOutput
  private let totalBytes: Int

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
    let layouts = try Self.plan(tensors, maximumShardBytes: maximumShardBytes, metadata: metadata, directory: directory)
    if written == nil { try Self.refuseLeftovers(in: directory) }
    let names = Self.fileNames(count: layouts.count)
    var plans: [AnnouncedOutput.Plan] = []
    var pieces: [(name: String, place: AnnouncedOutput.Place)] = []
    for (layout, name) in zip(layouts, names) {
      let start = layout.header.count
      for entry in layout.entries {
        let place = AnnouncedOutput.Place(
          file: plans.count, offset: start + entry.range.lowerBound, byteCount: entry.range.count)
        pieces.append((entry.descriptor.name, place))
      }
      plans.append(
        .init(file: directory.appendingPathComponent(name), header: layout.header, byteCount: start + layout.dataCount))
    }
    output = try AnnouncedOutput(plans, pieces: pieces, location: directory, resumingAfter: written, observer: observer)
    self.directory = directory
    totalBytes = layouts.reduce(0) { $0 + $1.dataCount }
    files = output.files + (plans.count > 1 ? [directory.appendingPathComponent(SafeTensorsIndex.fileName)] : [])
  }

  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) { try output.write(name, bytes) }

  /// Waits until what was written so far is on the disk, and keeps the unfinished files when the writer goes: a run that resumes continues them.
  public func suspend() throws(CheckpointError) { try output.suspend() }

  public func finish() throws(CheckpointError) {
    try output.complete()
    let index = try output.files.count > 1 ? writeIndex() : nil
    try output.publish()
    // The index last: whoever sees it finds every shard.
    try index?.publish()
    try OutputFile.flushDirectory(directory)
  }

  private func writeIndex() throws(CheckpointError) -> OutputFile {
    var map = JSONObject()
    for entry in output.contents { map[entry.name] = .string(entry.file.lastPathComponent) }
    let document: JSONValue = ["metadata": ["total_size": .integer(Int64(totalBytes))], "weight_map": .object(map)]
    let bytes = Array(document.text().utf8)
    let file = try OutputFile(directory.appendingPathComponent(SafeTensorsIndex.fileName), byteCount: bytes.count)
    try file.write(bytes)
    try file.flush()
    return file
  }
}
