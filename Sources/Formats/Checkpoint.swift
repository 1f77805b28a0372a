import Foundation
import Tensors

/// A file or set of files that holds named tensors, read one at a time.
///
/// Opening reads the names, types and shapes; the values stay in the file until `tensor(_:)` asks for them.
public protocol Checkpoint: Sendable {
  /// What the checkpoint holds, sorted by the bytes of the names.
  var descriptors: [TensorDescriptor] { get }
  /// Type and shape of one tensor; nil when there is no such name.
  func descriptor(_ name: String) -> TensorDescriptor?
  /// One tensor, a view of the file where possible. Throws when there is no such name, or when its bytes cannot be read.
  func tensor(_ name: String) throws(CheckpointError) -> Tensor
  /// Lets the pages of one tensor go that were mapped from the file; they are read again when asked for.
  func release(_ name: String)
  /// Every file it was read from, in order.
  var files: [URL] { get }
  /// Whether every value can be read; false where some files were opened that hold their header alone.
  var holdsValues: Bool { get }
  /// String metadata of the container: `__metadata__` of safetensors, the string attributes of the root of HDF5.
  var metadata: [String: String] { get }
}

extension Checkpoint {
  public func release(_ name: String) {}
  public var holdsValues: Bool { true }
}

/// What must be there of a checkpoint that is opened.
public enum CheckpointExtent: Sendable {
  /// Headers and every byte of the data.
  case complete
  /// Headers: a file may end where its data would begin. Names, types and shapes are all that is known then, which a plan needs no more than.
  case headers
}

/// Told where a writer's bytes are as soon as they can be read again.
public protocol WritingObserver: AnyObject, Sendable {
  /// A file that has its size and gets its name later.
  func began(_ file: URL, at temporary: URL)
  /// Bytes of it that were written; in any order, from any thread.
  func wrote(_ range: Range<Int>, of file: URL)
}

/// Writes tensors whose names, types and shapes were announced, in any order; nothing is visible under the final name until `finish()`.
public protocol CheckpointWriter: AnyObject {
  /// Writes the elements of one announced tensor: row-major, little-endian, exactly as many bytes as its descriptor says.
  func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError)
  /// Waits until what was written so far is on the disk, and keeps unfinished files when the writer goes, where a later run can take them up.
  func suspend() throws(CheckpointError)
  /// Checks that every announced tensor was written exactly once, and flushes all of it to the disk.
  func finish() throws(CheckpointError)
}

/// Whose the files are that several processes write together.
public enum WriterRole: Sendable {
  /// Creates them, and gives them their names when all of them is written.
  case owner
  /// Writes some of the tensors into files that the owner has created.
  case contributor
}

/// A writer whose files several processes can write: each tensor has its place, and is written by one of them.
public protocol DividedCheckpointWriter: CheckpointWriter {
  /// Notes at the owner what contributors have written, and flushed.
  func acknowledge(_ names: [String]) throws(CheckpointError)
}

extension CheckpointWriter {
  /// For files that no run can take up.
  public func suspend() throws(CheckpointError) {}

  /// Writes a tensor that lies in memory or in a mapped file.
  public func write(_ name: String, _ tensor: Tensor) throws(CheckpointError) {
    try tensor.withUnsafeBytes { bytes throws(CheckpointError) in try write(name, bytes) }
  }
}
