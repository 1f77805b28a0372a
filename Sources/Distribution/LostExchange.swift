import Diagnostics

/// A process could not give the others what they wait for: nothing goes on behind it, no other attempt either.
package struct LostExchange: Failure {
  package let kind: FailureKind
  package let subject: String
  package let problem: String
  package let remedy: String

  package init(_ cause: any Error) {
    let known = cause as? any Failure
    (kind, subject) = (known?.kind ?? .inputOutput, known?.subject ?? "activations")
    (problem, remedy) = (known?.problem ?? "\(cause)", known?.remedy ?? "run again")
  }
}
