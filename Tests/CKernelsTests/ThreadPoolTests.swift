import CKernels
import Foundation
import Synchronization
import Testing

@Suite struct ThreadPoolTests {
  /// How often each task ran and by whom, and how deep calls were nested.
  final class Log: Sendable {
    let runs: Mutex<[Int: Int]> = Mutex([:])
    let workers: Mutex<Set<Int32>> = Mutex([])

    func note(_ task: Int, _ worker: Int32) {
      runs.withLock { $0[task, default: 0] += 1 }
      workers.withLock { _ = $0.insert(worker) }
    }
  }

  static func run(_ pool: OpaquePointer, _ tasks: Int, _ log: Log) {
    dso_pool_run(
      pool, Int64(tasks),
      { context, task, worker in
        guard let context else { return }
        Unmanaged<Log>.fromOpaque(context).takeUnretainedValue().note(Int(task), worker)
      }, Unmanaged.passUnretained(log).toOpaque())
  }

  @Test(arguments: [1, 2, 4])
  func everyTaskRunsOnce(threads: Int32) throws {
    let pool = try #require(dso_pool_create(threads))
    defer { dso_pool_destroy(pool) }
    #expect(dso_pool_threads(pool) == threads)
    for tasks in [0, 1, 2, 3, 7, 64, 1000] {
      let log = Log()
      Self.run(pool, tasks, log)
      let runs = log.runs.withLock { $0 }
      #expect(runs.count == tasks && runs.values.allSatisfy { $0 == 1 } && runs.keys.allSatisfy { (0..<tasks).contains($0) })
      #expect(log.workers.withLock { $0 }.allSatisfy { (0..<threads).contains($0) })
    }
  }

  @Test func manyShortRunsDoNotHang() throws {
    let pool = try #require(dso_pool_create(4))
    defer { dso_pool_destroy(pool) }
    let log = Log()
    for _ in 0..<3000 { Self.run(pool, 3, log) }
    #expect(log.runs.withLock { $0 } == [0: 3000, 1: 3000, 2: 3000])
  }

  @Test func sleepingWorkersWakeUp() throws {
    let pool = try #require(dso_pool_create(2))
    defer { dso_pool_destroy(pool) }
    for _ in 0..<5 {
      Thread.sleep(forTimeInterval: 0.01)
      let log = Log()
      Self.run(pool, 20, log)
      #expect(log.runs.withLock { $0.count } == 20)
    }
  }

  /// A body that runs the same pool again.
  final class Nest: Sendable {
    let pool: Mutex<UInt>
    let inner = Log()
    let sameWorker = Mutex(true)
    init(_ pool: OpaquePointer) { self.pool = Mutex(UInt(bitPattern: pool)) }
  }

  @Test(arguments: [1, 2, 4])
  func callsFromABodyRunInline(threads: Int32) throws {
    let pool = try #require(dso_pool_create(threads))
    defer { dso_pool_destroy(pool) }
    let nest = Nest(pool)
    dso_pool_run(
      pool, 8,
      { context, task, worker in
        guard let context else { return }
        let nest = Unmanaged<Nest>.fromOpaque(context).takeUnretainedValue()
        guard let pool = OpaquePointer(bitPattern: nest.pool.withLock { $0 }) else { return }
        // Long enough for the other workers to wake up and take their share.
        Thread.sleep(forTimeInterval: 0.005)
        let log = Log()
        ThreadPoolTests.run(pool, 5, log)
        if log.workers.withLock({ $0 }) != [worker] { nest.sameWorker.withLock { $0 = false } }
        nest.inner.note(Int(task) * 100 + log.runs.withLock { $0.count }, worker)
      }, Unmanaged.passUnretained(nest).toOpaque())
    #expect(nest.inner.runs.withLock { $0 } == Dictionary(uniqueKeysWithValues: (0..<8).map { ($0 * 100 + 5, 1) }))
    #expect(nest.sameWorker.withLock { $0 })
    #expect(nest.inner.workers.withLock { $0.count } > (threads > 1 ? 1 : 0))
  }

  @Test func callersTakeTurns() async throws {
    let pool = try #require(dso_pool_create(2))
    defer { dso_pool_destroy(pool) }
    let address = UInt(bitPattern: pool)
    let counts = await withTaskGroup(of: Int.self) { group in
      for caller in 1...4 {
        group.addTask {
          guard let pool = OpaquePointer(bitPattern: address) else { return 0 }
          let log = Log()
          for _ in 0..<50 { Self.run(pool, caller * 10, log) }
          return log.runs.withLock { $0.values.reduce(0, +) }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(counts.sorted() == [500, 1000, 1500, 2000])
  }

  @Test func impossibleThreadCountsAreRefused() {
    #expect(dso_pool_create(0) == nil)
    #expect(dso_pool_create(-3) == nil)
    dso_pool_destroy(nil)
  }
}
