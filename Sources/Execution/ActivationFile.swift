import Diagnostics
import Foundation

/// Matrices one after the other in a file that outlives the process: what a resumed run goes on from.
public final class ActivationFile {
  private let handle: Int32
  private let url: URL

  public init(creating url: URL) throws {
    self.url = url
    handle = open(url.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard handle >= 0 else { throw failure() }
  }

  public init(opening url: URL) throws {
    self.url = url
    handle = open(url.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard handle >= 0 else { throw failure() }
  }

  deinit { if handle >= 0 { close(handle) } }

  public func append(_ matrix: Matrix) throws {
    var rest = UnsafeRawBufferPointer(matrix.bytes)[...]
    while !rest.isEmpty {
      let count = write(handle, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure() }
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
        throw ExecutionError(url.path, "ends early", remedy: "run again without --resume", kind: .badData)
      }
      guard count > 0 else { throw failure() }
      done += count
    }
  }

  /// Waits until everything is on the disk.
  public func finish() throws {
    guard fsync(handle) == 0 else { throw failure() }
  }

  private func failure() -> ExecutionError {
    ExecutionError(
      url.path, "cannot keep activations: \(String(cString: strerror(errno)))", remedy: "free disk space there", kind: .inputOutput)
  }
}
