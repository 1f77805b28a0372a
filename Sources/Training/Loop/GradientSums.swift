import Distribution
import Execution
import ModelGraph

/// The gradients of batches, added up in the order of the batches, whichever process found them.
struct GradientSums {
  private let interpreter: Interpreter
  private let group: ProcessGroup
  private let wanted: [ParameterID]
  private(set) var loss = 0.0
  private(set) var parameters: [ParameterID: Matrix] = [:]

  /// - Parameter wanted: what gradients may be of.
  init(_ interpreter: Interpreter, _ group: ProcessGroup, wanted: Set<ParameterID>) {
    (self.interpreter, self.group) = (interpreter, group)
    self.wanted = wanted.sorted { $0.index < $1.index }
  }

  /// Adds those of the next batch.
  /// - Parameters:
  ///   - own: what this process has found, where it is the one that did.
  ///   - root: which process that is.
  mutating func add(_ own: ModelGradients?, of root: Int) throws {
    let found = group.rank == root ? own : nil
    loss += Double(bitPattern: try group.broadcast((found?.loss ?? 0).bitPattern, from: root))
    // Which of them a batch has reached, in their order.
    let places = try group.broadcast(wanted.indices.filter { found?.parameters[wanted[$0]] != nil }, from: root)
    for id in places.map({ wanted[$0] }) {
      let gradient = try group.broadcast(found?.parameters[id], from: root)
      if let sum = parameters[id] { sum.add(gradient, pool: interpreter.pool) } else { parameters[id] = gradient }
    }
  }
}
