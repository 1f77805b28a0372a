import Diagnostics
import Distribution
import Foundation
import Training

/// OUTPUT in the making: a temporary sibling that is renamed when everything in it is written, flushed and checked.
/// A crash leaves no OUTPUT, and a leftover that the next run to the same place resumes or clears away.
///
/// Of several processes all see it, and the first one alone changes it: what the others are told to write is left to that one. Weights alone are
/// written by all, into files that the first one has created (`WeightOutput`).
final class OutputDirectory {
  /// Where the output will be.
  let final: URL
  /// Where it is written.
  let partial: URL
  private let overwrite: Bool
  private let lock: OutputLock?
  /// The processes that share the run.
  let group: ProcessGroup
  /// Whether the partial directory is this run's, to fill and to clear away.
  private var ownsPartial = false
  /// Whether what is there stays when the run ends without committing, for a later one to resume.
  var keepsPartial = false
  /// Whether it stays even when the run fails, because what is there cannot be the cause: nothing was taken up from it yet, or nothing but
  /// saving failed.
  var survivesFailure = false

  /// Reserves the place.
  /// - Parameters:
  ///   - resume: leaves what an earlier run wrote. If that run saved its progress, ending this one does not remove it.
  ///   - inputs: what must survive: the output may neither be one of them nor hold one.
  ///   - group: the processes that share the run; each of them reserves it.
  /// - Throws: what `check` throws, when another run is writing to the same place, and when not all processes see it.
  init(_ url: URL, overwrite: Bool, resume: Bool = false, inputs: [URL] = [], group: ProcessGroup = .alone) throws {
    try Self.check(url, overwrite: overwrite, inputs: inputs, group: group)
    final = url.standardizedFileURL
    self.group = group
    self.overwrite = overwrite
    let parent = final.deletingLastPathComponent()
    partial = parent.appendingPathComponent(".\(final.lastPathComponent).partial", isDirectory: true)
    lock = group.isFirst ? try OutputLock(of: final) : nil
    if group.isFirst {
      try Self.makeDirectory(partial)
      ownsPartial = true
      // What a run that was killed left behind.
      if !resume { clear() }
    }
    try meet()
    guard resume else { return }
    keepsPartial =
      [RunJournal.fileName, StageJournal.fileName, DistillationJournal.fileName].contains { access(file($0).path, F_OK) == 0 }
      || TrainingState.exists(at: file(QuantizationTraining.prefix))
    survivesFailure = keepsPartial
  }

  /// Finds out whether all processes see the directory that the first one has made.
  private func meet() throws {
    guard !group.isAlone else { return }
    let mark = try group.broadcast(UInt64.random(in: 0...UInt64.max))
    let file = file(".group-\(mark)")
    if group.isFirst { try write("", to: file.lastPathComponent) }
    try group.wait()
    let isThere = access(file.path, F_OK) == 0
    try group.wait()
    if group.isFirst { unlink(file.path) }
    guard isThere else {
      throw RecipeError(
        partial.deletingLastPathComponent().path, "is not the directory that the first process, on \(group.hosts[0]), writes to",
        remedy: "give an --output on a file system that all machines share", kind: .cannotCreate)
    }
  }

  /// Whether this process is the one that writes.
  var isFirst: Bool { group.isFirst }

  /// Returns when every process has come here: what the first one wrote before can be read by all.
  func synchronize() throws { try group.wait() }

  /// Removes something that the run needs no more.
  func remove(_ name: String) {
    if group.isFirst { try? FileManager.default.removeItem(at: file(name)) }
  }

  /// Checks, without touching anything, that an output can be created: it is new or may be replaced, its parent is a directory, nothing
  /// that is still needed stands in its place, and no other run is writing there.
  /// Of several processes the first one looks.
  static func check(_ url: URL, overwrite: Bool, inputs: [URL] = [], group: ProcessGroup = .alone) throws {
    guard group.isFirst else { return }
    let files = FileManager.default
    let final = url.standardizedFileURL
    let parent = final.deletingLastPathComponent()
    guard !final.lastPathComponent.isEmpty, final.path != "/" else {
      throw RecipeError(url.path, "is not a place for an output", remedy: "name a new directory with --output", kind: .cannotCreate)
    }
    var isDirectory: ObjCBool = false
    guard files.fileExists(atPath: parent.path, isDirectory: &isDirectory), isDirectory.boolValue else {
      throw RecipeError(
        parent.path, "is not a directory", remedy: "create it first, or choose another --output", kind: .cannotCreate)
    }
    try OutputLock.check(final)
    guard let attributes = try? files.attributesOfItem(atPath: final.path) else { return }
    guard overwrite else { throw exists(url) }
    let needed = inputs + [URL(fileURLWithPath: files.currentDirectoryPath), files.homeDirectoryForCurrentUser]
    let place = realPath(final)
    for input in needed where realPath(input) == place || realPath(input).hasPrefix(place + "/") {
      throw RecipeError(
        url.path, "cannot be replaced: \(input.path) is in it and still needed", remedy: "choose another --output", kind: .cannotCreate)
    }
    let items = (try? files.contentsOfDirectory(at: final, includingPropertiesForKeys: [.isDirectoryKey])) ?? []
    let directories = items.filter { (try? $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) ?? false }
    let isReport = items.contains { $0.lastPathComponent == "report.json" }
    let holdsOthers = directories.contains { !isReport || !parts.contains($0.lastPathComponent) }
    guard attributes[.type] as? FileAttributeType == .typeDirectory, !holdsOthers else {
      throw RecipeError(
        url.path, "is not an output of an earlier run, which --overwrite would replace", remedy: "choose another --output",
        kind: .cannotCreate)
    }
  }

  /// The directories that outputs hold beside their files.
  private static let parts = [MergeRecord.directoryName, FinetunedAdapter.baseName]

  private static func realPath(_ url: URL) -> String { url.resolvingSymlinksInPath().standardizedFileURL.path }

  private static func exists(_ url: URL) -> RecipeError {
    RecipeError(url.path, "exists already", remedy: "choose another --output, or add --overwrite", kind: .cannotCreate)
  }

  /// A directory of this user's own: a link or somebody else's directory in its place would lead the output elsewhere.
  private static func makeDirectory(_ url: URL) throws {
    if mkdir(url.path, 0o777) == 0 { return }
    guard errno == EEXIST else {
      throw RecipeError(
        url.path, "cannot be created: \(String(cString: strerror(errno)))", remedy: "choose another place with --output",
        kind: .cannotCreate)
    }
    var status = stat()
    guard lstat(url.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
      throw RecipeError(
        url.path, "is in the way and is not the leftover of an earlier run", remedy: "remove it, or choose another --output",
        kind: .cannotCreate)
    }
  }

  /// Starts anew: removes what an earlier run left.
  /// - Parameter prefixes: what the names begin with of what stays.
  func clear(keeping prefixes: [String] = []) {
    keepsPartial = false
    survivesFailure = false
    guard group.isFirst else { return }
    for item in (try? FileManager.default.contentsOfDirectory(at: partial, includingPropertiesForKeys: nil)) ?? []
    // What a network file system keeps of files without a name is still in use.
    where !prefixes.contains(where: item.lastPathComponent.hasPrefix) && !item.lastPathComponent.hasPrefix(".nfs") {
      try? FileManager.default.removeItem(at: item)
    }
  }

  /// A file of the output.
  func file(_ name: String) -> URL { partial.appendingPathComponent(name) }

  /// A directory in the output, new and empty.
  func makeDirectory(_ name: String) throws -> URL {
    let directory = file(name)
    guard group.isFirst else { return directory }
    try? FileManager.default.removeItem(at: directory)
    do { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false) } catch {
      throw RecipeError(directory.path, "cannot be created", remedy: "check the disk and its permissions", kind: .cannotCreate)
    }
    return directory
  }

  /// Writes a small file and waits until it is on the disk.
  func write(_ text: String, to name: String) throws {
    try write(Data(text.utf8), to: name)
  }

  func write(_ data: Data, to name: String) throws {
    guard group.isFirst else { return }
    let url = file(name)
    if name.contains("/") {
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    }
    let handle = open(url.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666)
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

  /// Puts a small file in the place of another in one step, after everything that was written and named before.
  func replace(_ name: String, with text: String) throws {
    guard group.isFirst else { return }
    let temporary = name + Self.temporarySuffix
    do {
      try write(text, to: temporary)
      // Names that this one refers to are on the disk before it.
      try Self.flush(partial)
      guard rename(file(temporary).path, file(name).path) == 0 else { throw failure(file(name)) }
    } catch {
      unlink(file(temporary).path)
      throw error
    }
    // It has its new content now; whether that survives a power cut is not worth failing for.
    try? Self.flush(partial)
  }

  static let temporarySuffix = ".new"

  /// Gives the output its name. An output that was there is exchanged for it in one step where the system can, and removed then.
  func commit() throws {
    // Whoever still reads in it does so by its old name.
    try synchronize()
    guard group.isFirst else { return }
    try Self.flush(partial)
    let isReplacing = (try? FileManager.default.attributesOfItem(atPath: final.path)) != nil
    if isReplacing, !overwrite { throw Self.exists(final) }
    if isReplacing {
      guard Self.exchange(partial.path, final.path) else { throw failure(final) }
      ownsPartial = true
    } else {
      guard rename(partial.path, final.path) == 0 else { throw failure(final) }
      ownsPartial = false
    }
    keepsPartial = false
    try Self.flush(final.deletingLastPathComponent())
    // After an exchange this is the output that was replaced.
    if isReplacing { try? FileManager.default.removeItem(at: partial) }
    ownsPartial = false
    lock?.release()
  }

  /// Swaps two directories in one step.
  private static func exchange(_ first: String, _ second: String) -> Bool {
    #if canImport(Darwin)
      return renamex_np(first, second, UInt32(RENAME_SWAP)) == 0
    #else
      // Swift's C library module does not show renameat2, so it is looked up by name.
      typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
      let exchange: UInt32 = 2
      if let symbol = dlsym(nil, "renameat2") {
        if unsafeBitCast(symbol, to: Rename.self)(AT_FDCWD, first, AT_FDCWD, second, exchange) == 0 { return true }
        guard errno == EINVAL || errno == ENOSYS else { return false }
      }
      // A file system without exchange: for a moment neither name exists.
      let aside = first + ".old"
      guard rename(second, aside) == 0 else { return false }
      guard rename(first, second) == 0 else {
        _ = rename(aside, second)
        return false
      }
      return rename(aside, first) == 0
    #endif
  }

  private static func flush(_ directory: URL) throws {
    let handle = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { return }
    defer { close(handle) }
    guard fsync(handle) == 0 || errno == EINVAL else {
      throw RecipeError(directory.path, "cannot be flushed: \(String(cString: strerror(errno)))", kind: .inputOutput)
    }
  }

  /// Works in it. What a run that was stopped can go on from stays; whatever else fails may fail again the same way, and leaves nothing, unless
  /// what an earlier save vouches for has no part in it.
  func keepingWhatCounts<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch is StoppedFailure {
      throw StoppedFailure(isResumable: keepsPartial)
    } catch {
      if !survivesFailure { keepsPartial = false }
      throw error
    }
  }

  deinit {
    if ownsPartial && !keepsPartial { try? FileManager.default.removeItem(at: partial) }
    lock?.release()
  }
}

/// One run to a place: a lock file beside it, held until the output has its name.
final class OutputLock {
  private let file: URL
  private var handle: Int32

  private static func file(of output: URL) -> URL {
    output.deletingLastPathComponent().appendingPathComponent(".\(output.lastPathComponent).lock")
  }

  /// Whether a run holds it, found out without taking it: texts are read and algorithms tried before a run does, and the second of two should not
  /// get that far.
  static func check(_ output: URL) throws {
    let handle = open(file(of: output).path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard handle >= 0 else { return }
    defer { close(handle) }
    if flock(handle, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK { throw isHeld(output) }
  }

  private static func isHeld(_ output: URL) -> RecipeError {
    RecipeError(output.path, "is being written by another run", remedy: "wait for it, or choose another --output", kind: .cannotCreate)
  }

  init(of output: URL) throws {
    file = Self.file(of: output)
    handle = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard handle >= 0 else {
      throw RecipeError(
        output.path, "cannot be created: \(String(cString: strerror(errno)))", remedy: "choose another place with --output",
        kind: .cannotCreate)
    }
    var (held, named) = (stat(), stat())
    // The run that held the lock may have removed the file between the opening and the locking.
    guard flock(handle, LOCK_EX | LOCK_NB) == 0, fstat(handle, &held) == 0, stat(file.path, &named) == 0, held.st_ino == named.st_ino
    else {
      close(handle)
      handle = -1
      throw Self.isHeld(output)
    }
  }

  /// Lets others write there.
  func release() {
    guard handle >= 0 else { return }
    unlink(file.path)
    close(handle)
    handle = -1
  }

  deinit { release() }
}
