import CHDF5
import Diagnostics
import Foundation

/// The one door to the HDF5 C library, which keeps global state and may not be entered by two threads.
enum HDF5Library {
  /// Recursive, because releasing a file inside a locked call locks again.
  private static let lock = NSRecursiveLock()

  /// The driver that reads mapped files, registered at its first use inside `locked`.
  static let memoryDriver = chdf5_register_memory_driver()

  /// What the library may take at once for itself, whatever the file: its largest buffer takes a megabyte.
  static let room = 2 << 20

  /// Runs `body` alone, with error printing silenced and plug-ins forbidden: a file must not choose code to load.
  /// - Parameter justified: the library gets at most this at once, and its own room. It asks for what a damaged file says, in more places than can
  ///   be checked before, and says what it did not get. This holds in programs that replace the C library's allocator.
  static func locked<Result, E: Error>(justified: Int = .max, _ body: () throws(E) -> Result) throws(E) -> Result {
    lock.lock()
    defer { lock.unlock() }
    let (limit, overflow) = justified.addingReportingOverflow(room)
    let outer = chdf5_limit_requests(overflow ? .max : limit)
    defer { _ = chdf5_limit_requests(outer) }
    // Nothing is left to do at the exit: files are read from memory and closed here. After a damaged one, 1.10 would crash there.
    _ = H5dont_atexit()
    _ = H5open()
    _ = H5PLset_loading_state(0)
    // The error stack belongs to the thread, so this is said on every entry.
    _ = H5Eset_auto2(0, nil, nil)
    _ = H5Eclear2(0)
    return try body()
  }

  /// What the innermost function of the last failed call said.
  static func lastMessage() -> String {
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      chdf5_last_error(start, buffer.count)
      return String(cString: start)
    }
    return text.isEmpty ? "the HDF5 library gives no reason" : text
  }
}

/// Owns one reference to an HDF5 object, type, space or property list. Lives and dies inside `HDF5Library.locked`.
struct HDF5Identifier: ~Copyable {
  let raw: hid_t

  /// Nil for the negative numbers that mean failure.
  init?(_ raw: hid_t) {
    guard raw >= 0 else { return nil }
    self.raw = raw
  }

  deinit { _ = H5Idec_ref(raw) }
}

/// Where something went wrong: the file, and the tensor or object in it.
struct HDF5Place {
  let file: URL
  /// The part of the file, as a message names it: `tensor model.norm.weight`, `object /model/norm`.
  private var part = ""

  init(file: URL) { self.file = file }

  func tensor(_ name: String) -> HDF5Place { at("tensor \(CheckpointError.shortened(name))") }
  func object(_ path: String) -> HDF5Place { at("object \(CheckpointError.shortened(path))") }

  private func at(_ part: String) -> HDF5Place {
    var place = self
    place.part = part
    return place
  }

  static let selfContainedRemedy = "write one self-contained file (h5repack or h5py can copy the data in)"

  private var subject: String { part.isEmpty ? file.relativePath : "\(file.relativePath), \(part)" }

  func malformed(_ problem: String, remedy: String = "") -> CheckpointError {
    CheckpointError(kind: .badData, subject: subject, problem: problem, remedy: remedy)
  }

  func damaged(_ problem: String) -> CheckpointError {
    malformed(problem, remedy: "the file is damaged or was cut short; write or copy it again")
  }

  /// The error for a library call that failed just now. A failure of the system under it is told apart from a bad file.
  func libraryFailure(_ action: String) -> CheckpointError {
    let message = HDF5Library.lastMessage()
    if let code = Self.systemErrorNumber(in: message) { return .inputOutput(file: file, action, errno: code) }
    return damaged("\(action) failed: \(message)")
  }

  /// The `errno = 28` that the library's file driver puts into its messages.
  private static func systemErrorNumber(in message: String) -> Int32? {
    guard let range = message.range(of: "errno = ") else { return nil }
    return Int32(message[range.upperBound...].prefix { $0.isNumber })
  }
}
