import Diagnostics
import Foundation

/// Matrices one after the other in a file that outlives the process: what a resumed run goes on from.
///
/// A file that is written has its name only when it is complete and on the disk; until then the one that was there before stays.
public final class ActivationFile {
  private let handle: Int32
  private let url: URL
  /// Where a file in the making is; nil for one that is read.
  private let temporary: URL?
  private var isFinished = false

  /// Begins a file, under a temporary name beside `url`.
  public init(creating url: URL) throws {
    self.url = url
    let temporary = url.appendingPathExtension("new")
    self.temporary = temporary
    handle = open(temporary.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard handle >= 0 else { throw failure("cannot be created") }
  }

  public init(opening url: URL) throws {
    self.url = url
    temporary = nil
    handle = open(url.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard handle >= 0 else { throw failure("cannot be opened") }
  }

  deinit {
    guard handle >= 0 else { return }
    close(handle)
    if let temporary, !isFinished { unlink(temporary.path) }
  }

  public func append(_ matrix: Matrix) throws {
    var rest = UnsafeRawBufferPointer(matrix.bytes)[...]
    while !rest.isEmpty {
      let count = write(handle, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("cannot be written") }
      rest = rest.dropFirst(count)
    }
  }

  /// Fills the matrix with the next values.
  public func read(into matrix: Matrix) throws {
    let bytes = matrix.bytes
    var done = 0
    while done < bytes.count {
      let count = Foundation.read(handle, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if count < 0, errno == EINTR { continue }
      guard count != 0 else {
        throw ExecutionError(url.path, "ends early", remedy: Self.anew, kind: .badData)
      }
      guard count > 0 else { throw failure("cannot be read") }
      done += count
    }
  }

  /// Waits until everything is on the disk, and gives the file its name.
  public func finish() throws {
    guard let temporary, fsync(handle) == 0 else { throw failure("cannot be written") }
    guard rename(temporary.path, url.path) == 0 else { throw failure("cannot be renamed") }
    isFinished = true
  }

  private static let anew = "run again without --resume"

  private func failure(_ problem: String) -> ExecutionError {
    let code = errno
    let remedy = temporary == nil ? Self.anew : code == ENOSPC || code == EDQUOT ? "free some space on that disk" : ""
    return ExecutionError(url.path, "\(problem): \(String(cString: strerror(code)))", remedy: remedy, kind: .inputOutput)
  }
}
