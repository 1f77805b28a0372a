import Diagnostics
import Foundation

/// OUTPUT in the making: a temporary sibling that is renamed when everything in it is written, flushed and checked.
/// A crash leaves no OUTPUT, and a leftover that the next run to the same place clears away.
final class OutputDirectory {
  /// Where the output will be.
  let final: URL
  /// Where it is written.
  let partial: URL
  private let overwrite: Bool
  private var lock: Int32 = -1
  private var isCommitted = false
  /// Whether what is there stays when the run ends without committing, for a later one to resume.
  var keepsPartial = false

  /// Reserves the place: refuses an existing OUTPUT without `overwrite`, a directory that cannot be written, and a place that another run is
  /// writing to.
  /// - Parameter resume: leaves what an earlier run wrote.
  init(_ url: URL, overwrite: Bool, resume: Bool = false) throws {
    final = url.standardizedFileURL
    self.overwrite = overwrite
    let name = final.lastPathComponent
    let parent = final.deletingLastPathComponent()
    partial = parent.appendingPathComponent(".\(name).partial", isDirectory: true)
    guard !name.isEmpty, name != "/", name != ".", name != ".." else {
      throw RecipeError(url.path, "is not a place for an output", remedy: "name a new directory with --output", kind: .cannotCreate)
    }
    let files = FileManager.default
    var isDirectory: ObjCBool = false
    guard files.fileExists(atPath: parent.path, isDirectory: &isDirectory), isDirectory.boolValue else {
      throw RecipeError(
        parent.path, "is not a directory", remedy: "create it first, or choose another --output", kind: .cannotCreate)
    }
    if !overwrite, (try? files.attributesOfItem(atPath: final.path)) != nil { throw Self.exists(url) }
    try Self.makeDirectory(partial)
    try acquireLock()
    // What a run that was killed left behind.
    if !resume { clear() }
  }

  private static let lockName = ".lock"

  private static func exists(_ url: URL) -> RecipeError {
    RecipeError(url.path, "exists already", remedy: "choose another --output, or add --overwrite", kind: .cannotCreate)
  }

  private static func makeDirectory(_ url: URL) throws {
    guard mkdir(url.path, 0o777) != 0, errno != EEXIST else { return }
    throw RecipeError(
      url.path, "cannot be created: \(String(cString: strerror(errno)))", remedy: "choose another place with --output",
      kind: .cannotCreate)
  }

  private func acquireLock() throws {
    let path = partial.appendingPathComponent(Self.lockName).path
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard lock >= 0 else {
      throw RecipeError(path, "cannot be created: \(String(cString: strerror(errno)))", kind: .cannotCreate)
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      isCommitted = true  // It is not ours to clear away.
      throw RecipeError(
        final.path, "is being written by another run", remedy: "wait for it, or choose another --output", kind: .cannotCreate)
    }
  }

  /// A file of the output.
  func file(_ name: String) -> URL { partial.appendingPathComponent(name) }

  /// Writes a small file and waits until it is on the disk.
  func write(_ text: String, to name: String) throws {
    try write(Data(text.utf8), to: name)
  }

  func write(_ data: Data, to name: String) throws {
    let url = file(name)
    let handle = open(url.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard handle >= 0 else { throw failure(url) }
    defer { close(handle) }
    var rest = data[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(handle, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(url) }
      rest = rest.dropFirst(count)
    }
    guard fsync(handle) == 0 else { throw failure(url) }
  }

  private func failure(_ url: URL) -> RecipeError {
    let code = errno
    return RecipeError(
      final.appendingPathComponent(url.lastPathComponent).path, "cannot be written: \(String(cString: strerror(code)))",
      remedy: code == ENOSPC ? "free some space on that disk and run again" : "", kind: .inputOutput)
  }

  /// Starts anew: removes what an earlier run left.
  func clear() {
    for item in (try? FileManager.default.contentsOfDirectory(at: partial, includingPropertiesForKeys: nil)) ?? []
    where item.lastPathComponent != Self.lockName { try? FileManager.default.removeItem(at: item) }
  }

  /// Gives the output its name. An output that was there is replaced in one step as far as the file system can.
  func commit() throws {
    _ = unlink(partial.appendingPathComponent(Self.lockName).path)
    try Self.flush(partial)
    let previous = final.deletingLastPathComponent().appendingPathComponent(".\(final.lastPathComponent).replaced")
    var hasPrevious = false
    if (try? FileManager.default.attributesOfItem(atPath: final.path)) != nil {
      guard overwrite else { throw Self.exists(final) }
      try? FileManager.default.removeItem(at: previous)
      guard rename(final.path, previous.path) == 0 else { throw failure(final) }
      hasPrevious = true
    }
    guard rename(partial.path, final.path) == 0 else {
      let error = failure(final)
      if hasPrevious { _ = rename(previous.path, final.path) }
      throw error
    }
    isCommitted = true
    try Self.flush(final.deletingLastPathComponent())
    if hasPrevious { try? FileManager.default.removeItem(at: previous) }
  }

  private static func flush(_ directory: URL) throws {
    let handle = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { return }
    defer { close(handle) }
    guard fsync(handle) == 0 else {
      throw RecipeError(directory.path, "cannot be flushed: \(String(cString: strerror(errno)))", kind: .inputOutput)
    }
  }

  deinit {
    if !isCommitted && !keepsPartial { try? FileManager.default.removeItem(at: partial) }
    if lock >= 0 { close(lock) }
  }
}
