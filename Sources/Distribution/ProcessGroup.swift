import Diagnostics

/// The processes that work on one run, as one of them sees them. All of them follow the same program over the same inputs; what takes long is
/// divided, and what was found is exchanged, so that behind every exchange each knows the same.
///
/// Nothing that is written depends on how many there are: a sum is formed over windows in their order, by whichever process forms it, and
/// what is random follows from the seed and an index.
public struct ProcessGroup: Sendable {
  /// Of this process, from 0. The first one speaks for all: it prints, keeps the journal, and gives the output its name.
  public let rank: Int
  public let count: Int
  /// What carries its messages; nil for one alone.
  package let transport: (any MessageTransport)?

  /// One process, without others to wait for.
  public static let alone = ProcessGroup(nil)

  public init(_ transport: some MessageTransport) { self.init(transport as any MessageTransport) }

  private init(_ transport: (any MessageTransport)?) {
    (self.transport, rank, count) = (transport, transport?.rank ?? 0, max(1, transport?.count ?? 1))
  }

  public var isAlone: Bool { count == 1 }
  public var isFirst: Bool { rank == 0 }
  /// The machine of every process; empty for one alone.
  public var hosts: [String] { transport?.hosts ?? [] }

  /// How many of the group run on this machine, this process included.
  public var processesHere: Int {
    let hosts = hosts
    return hosts.indices.contains(rank) ? hosts.count { $0 == hosts[rank] } : 1
  }

  /// Whether something is this process's, where its number says who does it: neighbours go to different processes.
  public func owns(_ index: Int) -> Bool { owner(of: index) == rank }

  /// Whose it is.
  public func owner(of index: Int) -> Int { index % count }

  /// Puts the bytes of one process into the memory of all.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    guard !isAlone, !bytes.isEmpty else { return }
    try transport?.broadcast(bytes, from: root)
  }

  /// The bytes of one process, of a length that only it knows.
  public func broadcast(_ bytes: [UInt8], from root: Int) throws -> [UInt8] {
    guard !isAlone else { return bytes }
    let length = try broadcast(UInt64(bytes.count), from: root)
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Int(length))
    try result.withUnsafeMutableBytes { try broadcast($0, from: root) }
    return result
  }

  /// A number of one process.
  public func broadcast<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, from root: Int = 0) throws -> Number {
    var number = number
    try withUnsafeMutableBytes(of: &number) { try broadcast($0, from: root) }
    return number
  }

  /// What each process gives, by rank, at all of them.
  public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    try (0..<count).map { try broadcast($0 == rank ? bytes : [], from: $0) }
  }

  /// Puts every process's part into the memory of all.
  /// - Parameters:
  ///   - bytes: all parts behind each other, by rank; this process's own is there already.
  ///   - counts: bytes of each.
  public func gather(_ bytes: UnsafeMutableRawBufferPointer, counts: [Int]) throws {
    guard !isAlone else { return }
    try transport?.gather(bytes, counts: counts)
  }

  /// Whether any process says so.
  public func any(_ condition: Bool) throws -> Bool {
    guard !isAlone else { return condition }
    var answers = [UInt8](repeating: 0, count: count)
    answers[rank] = condition ? 1 : 0
    try answers.withUnsafeMutableBytes { try gather($0, counts: Array(repeating: 1, count: count)) }
    return answers.contains(1)
  }

  /// Returns when every process has come here.
  public func wait() throws { _ = try any(false) }

  /// Two of the group as one of their own, the sender first; nil at all others, and where both are the same.
  public func pair(from sender: Int, to receiver: Int) -> ProcessGroup? {
    guard let transport, sender != receiver, rank == sender || rank == receiver else { return nil }
    return ProcessGroup(PairTransport(sender, receiver, of: transport))
  }

  /// Where every process stops when one is asked to, at the same place.
  /// - Throws: `StoppedFailure`.
  public func checkInterruption() throws {
    guard !isAlone else { return try Interruption.check() }
    if try any(Interruption.isWanted) { throw StoppedFailure() }
  }
}
