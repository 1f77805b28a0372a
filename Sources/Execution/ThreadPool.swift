import CKernels
import Foundation

/// Worker threads that kernels are cut over, each with scratch memory of its own. Results never depend on how many there are.
public final class ThreadPool: @unchecked Sendable {
  /// Threads that work, the caller included.
  public let threads: Int
  private let pool: OpaquePointer?
  private let lock = NSRecursiveLock()
  private var scratch: [UnsafeMutableRawBufferPointer]

  /// - Parameter threads: how many; nil for one per processor. If the system refuses to start them, the caller works alone.
  public init(threads: Int? = nil) {
    let wanted = max(1, threads ?? ProcessInfo.processInfo.activeProcessorCount)
    pool = dso_pool_create(Int32(wanted))
    self.threads = pool == nil ? 1 : wanted
    scratch = Array(repeating: UnsafeMutableRawBufferPointer(start: nil, count: 0), count: self.threads)
  }

  deinit {
    if let pool { dso_pool_destroy(pool) }
    for buffer in scratch { buffer.deallocate() }
  }

  /// Runs `body(task, scratch)` for every task below `tasks`, each once, and returns when all are done.
  /// - Parameter scratchBytes: the size of the 64-byte aligned memory that a body may use while it runs.
  public func run(_ tasks: Int, scratchBytes: Int = 0, _ body: (_ task: Int, _ scratch: UnsafeMutableRawPointer) -> Void) {
    guard tasks > 0 else { return }
    if dso_pool_is_inside() != 0 {
      // A body that starts work of its own does it alone: the threads and their scratch are taken.
      let own = UnsafeMutableRawPointer.allocate(byteCount: max(scratchBytes, 64), alignment: 64)
      defer { own.deallocate() }
      for task in 0..<tasks { body(task, own) }
      return
    }
    lock.lock()
    defer { lock.unlock() }
    reserve(max(scratchBytes, 64))
    let scratch = scratch.map(\.baseAddress)
    guard let pool, tasks > 1 else {
      if let memory = scratch.first ?? nil { for task in 0..<tasks { body(task, memory) } }
      return
    }
    withoutActuallyEscaping(body) { body in
      var work = Work(body: body, scratch: scratch)
      withUnsafeMutablePointer(to: &work) { pointer in
        dso_pool_run(
          pool, Int64(tasks),
          { context, task, worker in
            guard let work = context?.assumingMemoryBound(to: Work.self),
              let memory = work.pointee.scratch[Int(worker)]
            else { return }
            work.pointee.body(Int(task), memory)
          }, pointer)
      }
    }
  }

  /// Cuts `count` items into ranges of at least `grain`, a few per thread, and runs them.
  public func ranges(of count: Int, grain: Int = 1, _ body: (Range<Int>) -> Void) {
    let pieces = max(1, min(threads * 4, count / max(1, grain)))
    let size = (count + pieces - 1) / max(1, pieces)
    guard size > 0 else { return }
    run((count + size - 1) / size) { task, _ in body(task * size..<min(count, (task + 1) * size)) }
  }

  private struct Work {
    let body: (Int, UnsafeMutableRawPointer) -> Void
    let scratch: [UnsafeMutableRawPointer?]
  }

  private func reserve(_ bytes: Int) {
    guard scratch.contains(where: { $0.count < bytes }) else { return }
    for index in scratch.indices {
      scratch[index].deallocate()
      scratch[index] = .allocate(byteCount: bytes, alignment: 64)
    }
  }
}
