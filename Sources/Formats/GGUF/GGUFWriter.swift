import Foundation
import Tensors

/// Writes a GGUF file of version 3.
///
/// All tensors are announced first, so every byte has its place and they may be written in any order and from several threads. For the same
/// metadata and tensors in the same order the file has the bytes that gguf-py's writer makes.
public final class GGUFWriter: DividedCheckpointWriter, Sendable {
  public let file: URL
  private let output: AnnouncedOutput

  /// Creates the file under a temporary name, or opens that of the owner.
  ///
  /// - Parameters:
  ///   - file: where the file will be; there must be none.
  ///   - metadata: written in their order; `general.alignment` sets the alignment, 32 without it. Readers want `general.architecture`.
  ///   - tensors: all tensors in the order of the file.
  ///   - role: whose the file is.
  ///   - written: what an earlier run with the same announcements wrote, and flushed: names, or the keys of parts; nil to start anew.
  ///   - observer: told what is written.
  public init(
    creating file: URL, metadata: GGUFMetadata, tensors: [GGUFAnnouncement], role: WriterRole = .owner,
    resumingAfter written: [String]? = nil, observer: (any WritingObserver)? = nil
  ) throws(CheckpointError) {
    let layout = try GGUFLayout(tensors, metadata: metadata, file: file)
    if written == nil, role == .owner, access(file.path, F_OK) == 0 {
      throw CheckpointError.cannotCreate(file: file, "it exists already", remedy: "remove it or choose another place")
    }
    self.file = file
    output = try AnnouncedOutput(
      [layout.plan], pieces: layout.pieces, location: file, role: role, resumingAfter: written, observer: observer)
  }

  /// The one file that `finish()` leaves.
  public var files: [URL] { output.files }

  /// Writes the elements of an announced tensor, or of a part under its key: rows of plain elements, little-endian, or of blocks.
  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) { try output.write(name, bytes) }

  public func acknowledge(_ names: [String]) throws(CheckpointError) { try output.acknowledge(names) }

  /// Waits until what was written so far is on the disk, and keeps the unfinished file when the writer goes: a run that resumes continues it.
  public func suspend() throws(CheckpointError) { try output.suspend() }

  public func finish() throws(CheckpointError) {
    try output.complete()
    guard output.role == .owner else { return }
    try output.publish()
    try OutputFile.flushDirectory(file.deletingLastPathComponent())
  }
}
