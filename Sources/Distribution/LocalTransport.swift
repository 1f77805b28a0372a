import Foundation
import Synchronization

/// Threads of one process as a group: what several processes do can be tried, and tested, without starting any.
package final class LocalTransport: MessageTransport {
  package let rank: Int
  package let count: Int
  package var hosts: [String] { Array(repeating: "localhost", count: count) }
  private let exchange: Exchange

  private init(_ rank: Int, _ exchange: Exchange) { (self.rank, self.count, self.exchange) = (rank, exchange.count, exchange) }

  /// Another member has failed, and will send nothing more.
  package struct Abandoned: Error {}

  /// Runs the body once for each rank, each on a thread of its own.
  /// - Returns: what each returned, by rank.
  /// - Throws: what the first of them threw; the others are woken.
  package static func run<Result: Sendable>(_ count: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> Result) throws -> [Result] {
    let exchange = Exchange(count)
    let results = Mutex<[Swift.Result<Result, any Error>?]>(Array(repeating: nil, count: count))
    let done = DispatchSemaphore(value: 0)
    for rank in 0..<count {
      let thread = Thread {
        let result = Swift.Result { try body(ProcessGroup(LocalTransport(rank, exchange))) }
        if case .failure = result { exchange.abandon() }
        results.withLock { $0[rank] = result }
        done.signal()
      }
      thread.stackSize = 16 << 20
      thread.start()
    }
    for _ in 0..<count { done.wait() }
    let all = results.withLock { $0.compactMap { $0 } }
    // The cause, not what it did to the others.
    for case .failure(let error) in all where !(error is Abandoned) { throw error }
    return try all.map { try $0.get() }
  }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    if rank == root {
      for other in 0..<count where other != root { try send(UnsafeRawBufferPointer(bytes), to: other) }
    } else {
      try receive(bytes, from: root)
    }
  }

  package func send(_ bytes: UnsafeRawBufferPointer, to rank: Int) throws { exchange.put(Array(bytes), from: self.rank, to: rank) }

  package func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws {
    let message = try exchange.take(from: rank, to: self.rank)
    // A length that is not as agreed is a fault of the program: the others would read one thing for another from here on.
    precondition(message.count == bytes.count, "a message of \(message.count) bytes where \(bytes.count) are awaited")
    bytes.copyBytes(from: message)
  }

  /// Messages on their way, in a queue for every pair.
  private final class Exchange: @unchecked Sendable {
    let count: Int
    private let condition = NSCondition()
    private var queues: [[[UInt8]]]
    private var isAbandoned = false

    init(_ count: Int) {
      self.count = count
      queues = Array(repeating: [], count: count * count)
    }

    func put(_ message: [UInt8], from sender: Int, to receiver: Int) {
      condition.lock()
      queues[sender * count + receiver].append(message)
      condition.broadcast()
      condition.unlock()
    }

    func take(from sender: Int, to receiver: Int) throws -> [UInt8] {
      condition.lock()
      defer { condition.unlock() }
      while queues[sender * count + receiver].isEmpty {
        if isAbandoned { throw Abandoned() }
        condition.wait()
      }
      return queues[sender * count + receiver].removeFirst()
    }

    func abandon() {
      condition.lock()
      isAbandoned = true
      condition.broadcast()
      condition.unlock()
    }
  }
}
