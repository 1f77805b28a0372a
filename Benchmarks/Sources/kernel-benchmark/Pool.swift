import CKernels

/// A pool of the kernels' threads with scratch for each.
final class Pool {
  let threads: Int
  private let handle: OpaquePointer
  private let scratch: [UnsafeMutableRawPointer]

  init?(threads: Int, scratchBytes: Int) {
    guard let handle = dso_pool_create(Int32(threads)) else { return nil }
    self.handle = handle
    self.threads = threads
    scratch = (0..<threads).map { _ in .allocate(byteCount: scratchBytes, alignment: 64) }
  }

  deinit {
    dso_pool_destroy(handle)
    for pointer in scratch { pointer.deallocate() }
  }

  private final class Body {
    let run: (Int, UnsafeMutableRawPointer) -> Void
    let scratch: [UnsafeMutableRawPointer]

    init(_ scratch: [UnsafeMutableRawPointer], _ run: @escaping (Int, UnsafeMutableRawPointer) -> Void) {
      self.scratch = scratch
      self.run = run
    }
  }

  /// Runs body(task, scratch of the worker) for every task.
  func run(_ tasks: Int, _ body: @escaping (Int, UnsafeMutableRawPointer) -> Void) {
    let box = Body(scratch, body)
    withExtendedLifetime(box) {
      dso_pool_run(
        handle, Int64(tasks),
        { context, task, worker in
          guard let context else { return }
          let box = Unmanaged<Body>.fromOpaque(context).takeUnretainedValue()
          box.run(Int(task), box.scratch[Int(worker)])
        }, Unmanaged.passUnretained(box).toOpaque())
    }
  }

  /// Cuts rows 0..<count into about two ranges for each thread.
  func rows(_ count: Int, _ body: @escaping (Int64, Int64, UnsafeMutableRawPointer) -> Void) {
    let wanted = threads == 1 ? 1 : threads * 2
    let height = max(56, (count + wanted - 1) / wanted)
    run((count + height - 1) / height) { task, scratch in body(Int64(task * height), Int64(min(count, (task + 1) * height)), scratch) }
  }

  /// Cuts columns 0..<n into ranges of whole tiles, about four for each thread.
  func columns(_ n: Int, _ body: @escaping (Int64, Int64, UnsafeMutableRawPointer) -> Void) {
    let tile = Int(dso_matmul_tile_n())
    let width = threads == 1 ? n : max(tile, (n / (threads * 4) + tile - 1) / tile * tile)
    run((n + width - 1) / width) { task, scratch in body(Int64(task * width), Int64(min(n, (task + 1) * width)), scratch) }
  }
}
