#if MPI
  internal import CMPI
  import Diagnostics
  import Distribution
  import Foundation

  /// Messages by MPI, over the whole world of processes that it has started.
  final class MPITransport: MessageTransport {
    let rank: Int
    let count: Int
    let hosts: [String]
    /// MPI takes one call at a time.
    private let lock = NSLock()

    init() throws(MessagePassingError) {
      var (rank, count): (Int32, Int32) = (0, 1)
      try Self.check(cmpi_start(&rank, &count), "cannot be started")
      (self.rank, self.count) = (Int(rank), Int(count))
      let length = Int(cmpi_host_length())
      var hosts: [String] = []
      for root in 0..<count {
        var name = [CChar](repeating: 0, count: length)
        if root == rank { try Self.check(cmpi_host(&name), "cannot tell the name of this machine") }
        try Self.check(cmpi_broadcast(&name, Int64(length), root), "cannot reach all processes")
        hosts.append(String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
      }
      self.hosts = hosts
    }

    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
      try passing("broadcasting") { cmpi_broadcast(bytes.baseAddress, Int64(bytes.count), Int32(root)) }
    }

    func gather(_ bytes: UnsafeMutableRawBufferPointer, counts: [Int]) throws {
      guard bytes.count <= cmpi_piece() else { return try gatherInTurn(bytes, counts: counts) }
      let places = counts.indices.map { Int32(counts[..<$0].reduce(0, +)) }
      try passing("gathering") { cmpi_gather(bytes.baseAddress, counts.map(Int32.init), places) }
    }

    func send(_ bytes: UnsafeRawBufferPointer, to rank: Int) throws {
      try passing("sending to rank \(rank)") { cmpi_send(bytes.baseAddress, Int64(bytes.count), Int32(rank)) }
    }

    func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws {
      try passing("receiving from rank \(rank)") { cmpi_receive(bytes.baseAddress, Int64(bytes.count), Int32(rank)) }
    }

    private func passing(_ what: String, _ call: () -> Int32) throws(MessagePassingError) {
      lock.lock()
      defer { lock.unlock() }
      try Self.check(call(), "failed \(what)")
    }

    private static func check(_ code: Int32, _ problem: String) throws(MessagePassingError) {
      guard code != 0 else { return }
      var text = [CChar](repeating: 0, count: Int(cmpi_text_length()) + 1)
      _ = cmpi_text(code, &text)
      let reason = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw MessagePassingError("MPI", "\(problem): \(reason)")
    }

    static func finish() { _ = cmpi_finish() }
    static func abort(_ status: Int32) { _ = cmpi_abort(status) }
  }
#endif
