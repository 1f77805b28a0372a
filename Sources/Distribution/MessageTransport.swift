/// How the processes of a group reach each other: messages between two, in the order they are sent, and from one to all.
///
/// Every process makes the calls that concern it in the same order. A call waits until its memory may be used again; waiting must not keep a
/// processor busy, since several processes may share one. A process that fails ends all of them, so that none waits for ever.
public protocol MessageTransport: AnyObject, Sendable {
  /// Of this process, from 0.
  var rank: Int { get }
  var count: Int { get }
  /// The machine of every process, by rank.
  var hosts: [String] { get }

  /// Hands the bytes of one process to all others, whose memory is as large.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws
  /// Every process's part at all of them.
  /// - Parameters:
  ///   - bytes: all parts behind each other, by rank; this process's own is there already.
  ///   - counts: bytes of each.
  func gather(_ bytes: UnsafeMutableRawBufferPointer, counts: [Int]) throws
  /// For one other process. Small messages may be on their way when this returns; large ones wait for the other to ask.
  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int) throws
  /// What another process sends, which is as large.
  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws
}

extension MessageTransport {
  public func gather(_ bytes: UnsafeMutableRawBufferPointer, counts: [Int]) throws { try gatherInTurn(bytes, counts: counts) }

  /// By a message to all from each.
  package func gatherInTurn(_ bytes: UnsafeMutableRawBufferPointer, counts: [Int]) throws {
    var start = 0
    for (rank, count) in counts.enumerated() {
      if count > 0 { try broadcast(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + count]), from: rank) }
      start += count
    }
  }
}
