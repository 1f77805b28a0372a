import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// Weights of merged experts, averaged whenever one is read. The channels of every member are put in the order that fits those of the dominant expert
/// best: the sum of products of matched rows of gate and up and columns of down is the largest there is (weight matching, Ainsworth et al., Git
/// Re-Basin, 2022); without it an average of experts that were trained apart mixes channels that have nothing in common.
package final class AveragedExperts: WeightSource {
  /// One expert's matrices, in the order of its nodes.
  struct Member {
    let parameters: [Parameter]
    let share: Float
  }

  /// A merged expert: its parameters' names now, what goes in, and who leads.
  struct Merged {
    let names: [String]
    let members: [Member]
    let dominant: Int
  }

  private let merged: [Merged]
  private let places: [TensorName: (expert: Int, parameter: Int)]
  private let pool: ThreadPool
  private let lock = NSLock()
  /// Of the expert that was asked for last: for each member the channel that goes to each place; nil where channels stay.
  private nonisolated(unsafe) var orders: (expert: Int, byMember: [[Int]?])?

  init(_ merged: [Merged], pool: ThreadPool) {
    (self.merged, self.pool) = (merged, pool)
    places = Dictionary(
      merged.enumerated().flatMap { expert, entry in entry.names.enumerated().map { (TensorName($1), (expert, $0)) } },
      uniquingKeysWith: { first, _ in first })
  }

  package var names: [String] { merged.flatMap(\.names).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  package func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    guard let place = places[TensorName(name)] else { return nil }
    let entry = merged[place.expert]
    let origin = entry.members[entry.dominant].parameters[place.parameter]
    return origin.weightStorage.map { (origin.shape, $0) }
  }

  package func release(_ name: String) {
    guard let place = places[TensorName(name)] else { return }
    for member in merged[place.expert].members { member.parameters[place.parameter].releasePages() }
  }

  package func load(_ name: String) throws -> Weight {
    guard let place = places[TensorName(name)] else {
      throw CompressionError(name, "is no parameter of a merged expert", remedy: "merge the model that this belongs to", kind: .badData)
    }
    let entry = merged[place.expert]
    let orders = try channelOrders(of: place.expert)
    let origin = entry.members[entry.dominant].parameters[place.parameter]
    let sum = Matrix(rows: origin.shape[0], columns: origin.shape.rank > 1 ? origin.shape[1] : 1)
    for (member, order) in zip(entry.members, orders) {
      let parameter = member.parameters[place.parameter]
      let values = try Matrix(parameter).scaled(by: member.share)
      // Down has channels for columns, gate and up for rows.
      let isDown = parameter.role == .expertDown
      for row in 0..<sum.rows {
        guard let order else {
          dso_add(values.row(row), sum.row(row), Int64(sum.columns))
          continue
        }
        if isDown {
          let (from, to) = (values.row(row), sum.row(row))
          for (column, channel) in order.enumerated() { to[column] += from[channel] }
        } else {
          dso_add(values.row(order[row]), sum.row(row), Int64(sum.columns))
        }
      }
    }
    guard let type = origin.nativeType, let tensor = sum.tensor(origin.shape).converted(to: type) else {
      throw CompressionError(
        name, "is quantized: experts are merged before quantizing", remedy: "start from the unquantized model", kind: .usage)
    }
    return .dense(tensor)
  }

  private func channelOrders(of expert: Int) throws -> [[Int]?] {
    lock.lock()
    defer { lock.unlock() }
    if let orders, orders.expert == expert { return orders.byMember }
    let entry = merged[expert]
    let leader = try matrices(entry.members[entry.dominant])
    let found = try entry.members.indices.map { index -> [Int]? in
      try Interruption.check()
      guard index != entry.dominant, let leader, let other = try matrices(entry.members[index]) else { return nil }
      return order(of: other, towards: leader)
    }
    orders = (expert, found)
    return found
  }

  private typealias Matrices = (gate: Matrix, up: Matrix, down: Matrix)

  /// Nil where an expert is made of something else: then nothing is known of its channels.
  private func matrices(_ member: Member) throws -> Matrices? {
    func only(_ role: ParameterRole) throws -> Matrix? {
      try member.parameters.first { $0.role == role }.map { try Matrix($0) }
    }
    guard member.parameters.count == 3, let gate = try only(.expertGate), let up = try only(.expertUp), let down = try only(.expertDown)
    else { return nil }
    return (gate, up, down)
  }

  private func order(of other: Matrices, towards leader: Matrices) -> [Int]? {
    let scores = leader.gate.timesTransposed(other.gate, pool: pool)
    for part in [leader.up.timesTransposed(other.up, pool: pool), leader.down.transposedTimes(other.down, pool: pool)] {
      dso_add(part.pointer, scores.pointer, Int64(scores.rows * scores.columns))
    }
    // With values that are no numbers there is no best order.
    guard dso_sum_squares(scores.pointer, Int64(scores.rows * scores.columns)).isFinite else { return nil }
    return Assignment.best(scores.rows) { scores.row($0)[$1] }
  }
}
