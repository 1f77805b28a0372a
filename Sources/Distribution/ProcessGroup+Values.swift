import Foundation

extension ProcessGroup {
  /// Numbers of one process, at all of them.
  package func broadcast<Number: BitwiseCopyable>(_ numbers: [Number], from root: Int) throws -> [Number] {
    guard !isAlone else { return numbers }
    let bytes = try broadcast(numbers.withUnsafeBytes(Array.init), from: root)
    if rank == root { return numbers }
    return bytes.withUnsafeBytes { raw in
      let count = raw.count / MemoryLayout<Number>.stride
      return (0..<count).map { raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.stride, as: Number.self) }
    }
  }

  /// A value of one process, at all of them; what the others give counts for nothing.
  package func broadcast<Value: Codable>(value: Value, from root: Int) throws -> Value {
    guard !isAlone else { return value }
    let text = try broadcast(rank == root ? Array(JSONEncoder().encode(value)) : [], from: root)
    return rank == root ? value : try JSONDecoder().decode(Value.self, from: Data(text))
  }
}
