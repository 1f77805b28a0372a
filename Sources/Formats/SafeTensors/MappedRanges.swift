import Diagnostics
import Foundation
import Synchronization

/// Where files are mapped, so that a page that cannot be read any more ends the process with a line that names the file.
///
/// The system reports such a page, of a file that was cut short or a disk that failed, by SIGBUS: nothing can go on in the code that touched it. What
/// was written until then stays as it is when a process is killed.
package enum MappedRanges {
  private struct Entry {
    /// 0 where the place is free.
    var start: UInt = 0
    var end: UInt = 0
    var path: UnsafeMutablePointer<CChar>?
  }

  /// Checkpoints have a few hundred shards; beyond this a fault is not named.
  private static let capacity = 4096
  private static let isEnding = Atomic<Bool>(false)
  private static let lock = NSLock()
  /// In memory that never moves: a signal handler may neither allocate nor wait.
  nonisolated(unsafe) private static let entries: UnsafeMutablePointer<Entry> = {
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
    entries.initialize(repeating: Entry(), count: capacity)
    return entries
  }()

  /// Notes a mapping.
  package static func add(_ bytes: UnsafeRawBufferPointer, of path: String) {
    guard let base = bytes.baseAddress, let copy = strdup(path.printable) else { return }
    lock.withLock {
      guard let place = (0..<capacity).first(where: { entries[$0].start == 0 }) else {
        free(copy)
        return
      }
      entries[place].path = copy
      entries[place].end = UInt(bitPattern: base) + UInt(bytes.count)
      entries[place].start = UInt(bitPattern: base)
    }
  }

  /// Forgets it, before it goes.
  package static func remove(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    lock.withLock {
      guard let index = (0..<capacity).first(where: { entries[$0].start == UInt(bitPattern: base) }) else { return }
      entries[index].start = 0
      free(entries[index].path)
      entries[index].path = nil
    }
  }

  /// From here on a page that cannot be read ends the process with the status of an input/output failure, and one line.
  package static func reportFaults() {
    _ = entries
    var action = sigaction()
    #if canImport(Darwin)
      action.__sigaction_u.__sa_sigaction = { _, info, _ in MappedRanges.end(at: info?.pointee.si_addr) }
    #else
      action.__sigaction_handler.sa_sigaction = { _, info, _ in MappedRanges.end(at: info?.pointee._sifields._sigfault.si_addr) }
    #endif
    action.sa_flags = Int32(SA_SIGINFO)
    sigaction(SIGBUS, &action, nil)
  }

  private static func end(at address: UnsafeMutableRawPointer?) {
    let address = UInt(bitPattern: address)
    var found = 0
    while found < capacity, !(entries[found].start != 0 && entries[found].start <= address && address < entries[found].end) { found += 1 }
    guard found < capacity, let path = entries[found].path else {
      // Not ours: touching the page once more ends the process as it always would.
      signal(SIGBUS, SIG_DFL)
      return
    }
    // Of threads that meet it at once, one says so.
    while isEnding.exchange(true, ordering: .relaxed) { pause() }
    write("error: ")
    write(path)
    write(": cannot be read any more: it was cut short meanwhile, or its disk failed; run again when it is whole\n")
    _exit(FailureKind.inputOutput.rawValue)
  }

  private static func write(_ text: StaticString) {
    text.withUTF8Buffer { _ = Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private static func write(_ text: UnsafePointer<CChar>) { _ = Foundation.write(STDERR_FILENO, text, strlen(text)) }
}
