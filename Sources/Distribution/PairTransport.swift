/// Two of a group by themselves: the first sends, or answers, to the second alone.
final class PairTransport: MessageTransport {
  let rank: Int
  let count = 2
  private let members: [Int]
  private let group: any MessageTransport

  init(_ first: Int, _ second: Int, of group: any MessageTransport) {
    (members, self.group) = ([first, second], group)
    rank = group.rank == first ? 0 : 1
  }

  var hosts: [String] { members.map { group.hosts[$0] } }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    if rank == root { try send(UnsafeRawBufferPointer(bytes), to: 1 - root) } else { try receive(bytes, from: root) }
  }

  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int) throws { try group.send(bytes, to: members[rank]) }
  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws { try group.receive(bytes, from: members[rank]) }
}
