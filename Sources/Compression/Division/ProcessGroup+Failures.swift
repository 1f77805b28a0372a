import Diagnostics
import Distribution

extension ProcessGroup {
  /// Work that each process does for itself. Where one of them fails, all do, with its failure: none is left waiting for what it would have sent.
  package func settle<Value>(_ work: () throws -> Value) throws -> Value {
    guard !isAlone else { return try work() }
    let outcome = Result { try work() }
    var failure: SharedFailure?
    if case .failure(let error) = outcome {
      guard let known = error as? any Failure else { throw error }
      failure = SharedFailure(kind: known.kind.rawValue, subject: known.subject, problem: known.problem, remedy: known.remedy)
    }
    for root in 0..<count {
      guard let found = try broadcast(value: failure, from: root), let kind = FailureKind(rawValue: found.kind) else { continue }
      throw CompressionError(found.subject, found.problem, remedy: found.remedy, kind: kind)
    }
    return try outcome.get()
  }

  private struct SharedFailure: Codable {
    let kind: Int32
    let subject, problem, remedy: String
  }
}
