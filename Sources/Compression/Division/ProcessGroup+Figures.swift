import Diagnostics
import Distribution

extension ProcessGroup {
  /// A figure of each of so many pieces of work, each found by the process that it belongs to, at all of them. Where one fails, all do.
  package func figures(_ pieces: Int, of work: (Int) throws -> Double) throws -> [Double] {
    let own = try settle {
      try (0..<pieces).filter(owns).map { index in
        try Interruption.check()
        return try work(index)
      }
    }
    let all = try (0..<count).map { try broadcast($0 == rank ? own : [], from: $0) }
    return (0..<pieces).map { all[owner(of: $0)][$0 / count] }
  }
}
