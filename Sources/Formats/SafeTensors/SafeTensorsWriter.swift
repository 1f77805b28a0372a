import Foundation
import StructuredData
import Tensors

/// Writes a safetensors checkpoint: `model.safetensors`, or shards and `model.safetensors.index.json` when it is larger than one shard.
///
/// All tensors are announced first, so every byte has its place and tensors may be written in any order and from several threads. For the
/// same tensors each file has the bytes that the reference writer makes.
public final class SafeTensorsWriter: DividedCheckpointWriter, Sendable {
  /// The largest data of one shard unless told otherwise, in bytes; a single larger tensor gets a shard of its own.
  public static let defaultShardBytes = 5_000_000_000

  private let directory: URL
  private let output: AnnouncedOutput
  private let totalBytes: Int
  /// The files of the tensors.
  private let weightMap: NameTable<String>

  /// The files that `finish()` leaves: the shards in order, then the index when there is one.
  public let files: [URL]

  /// Plans the shards and creates their files under temporary names, or opens those of the owner.
  ///
  /// - Parameters:
  ///   - directory: an existing directory without a safetensors checkpoint in it.
  ///   - tensors: all tensors in the order of the model: neighbours share a shard.
  ///   - slices: tensors whose outermost dimension is written one by one, with the names that its elements are written by.
  ///   - metadata: `__metadata__` of every file; transformers wants `format`.
  ///   - role: whose the files are.
  ///   - written: tensors that an earlier run with the same announcements wrote, and flushed, in this directory; nil to start anew.
  ///   - observer: told what is written.
  public init(
    directory: URL, tensors: [TensorDescriptor], slices: [(tensor: String, names: [String])] = [],
    maximumShardBytes: Int = SafeTensorsWriter.defaultShardBytes,
    metadata: [String: String] = ["format": "pt"], role: WriterRole = .owner, resumingAfter written: [String]? = nil,
    observer: (any WritingObserver)? = nil
  ) throws(CheckpointError) {
    let layouts = try Self.plan(tensors, maximumShardBytes: maximumShardBytes, metadata: metadata, directory: directory)
    if written == nil, role == .owner { try Self.refuseLeftovers(in: directory) }
    let names = Self.fileNames(count: layouts.count)
    var plans: [AnnouncedOutput.Plan] = []
    var pieces: [(name: String, place: AnnouncedOutput.Place)] = []
    var map: [(String, String)] = []
    let slicesByName = NameTable(slices.map { ($0.tensor, $0.names) })
    for (layout, name) in zip(layouts, names) {
      let start = layout.header.count
      for entry in layout.entries {
        map.append((entry.descriptor.name, name))
        let parts = slicesByName[entry.descriptor.name] ?? [entry.descriptor.name]
        guard !parts.isEmpty, entry.range.count % parts.count == 0 else {
          throw CheckpointError.usage(
            file: directory, tensor: entry.descriptor.name, "\(entry.range.count) bytes cannot be written in \(parts.count) slices")
        }
        let size = entry.range.count / parts.count
        for (number, part) in parts.enumerated() {
          let offset = start + entry.range.lowerBound + number * size
          pieces.append((part, AnnouncedOutput.Place(file: plans.count, offset: offset, byteCount: size)))
        }
      }
      plans.append(
        .init(file: directory.appendingPathComponent(name), header: layout.header, byteCount: start + layout.dataCount))
    }
    if let name = NameTable(pieces.map { ($0.name, 0) }).duplicate {
      throw CheckpointError.usage(file: directory, tensor: name, "it is announced twice")
    }
    weightMap = NameTable(map)
    output = try AnnouncedOutput(plans, pieces: pieces, location: directory, role: role, resumingAfter: written, observer: observer)
    self.directory = directory
    totalBytes = layouts.reduce(0) { $0 + $1.dataCount }
    files = output.files + (plans.count > 1 ? [directory.appendingPathComponent(SafeTensorsIndex.fileName)] : [])
  }

  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) { try output.write(name, bytes) }

  public func acknowledge(_ names: [String]) throws(CheckpointError) { try output.acknowledge(names) }

  /// Waits until what was written so far is on the disk, and keeps the unfinished files when the writer goes: a run that resumes continues them.
  public func suspend() throws(CheckpointError) { try output.suspend() }

  public func finish() throws(CheckpointError) {
    try output.complete()
    guard output.role == .owner else { return }
    let index = try output.files.count > 1 ? writeIndex() : nil
    try output.publish()
    // The index last: whoever sees it finds every shard.
    try index?.publish()
    try OutputFile.flushDirectory(directory)
  }

  private func writeIndex() throws(CheckpointError) -> OutputFile {
    var map = JSONObject()
    for entry in weightMap.entries { map[entry.name] = .string(entry.value) }
    let document: JSONValue = ["metadata": ["total_size": .integer(Int64(totalBytes))], "weight_map": .object(map)]
    let bytes = Array(document.text().utf8)
    let file = try OutputFile(directory.appendingPathComponent(SafeTensorsIndex.fileName), byteCount: bytes.count)
    try file.write(bytes)
    try file.flush()
    return file
  }
}
