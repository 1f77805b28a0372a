import CKernels
import ModelGraph

/// Which rows of a batch go to which experts, and with which weights.
public final class RoutedRows: @unchecked Sendable {
  let routing: Routing
  /// `[rows, selected]`.
  let weights: Matrix
  /// `[rows × selected]`: the experts of a row, rising, and the places of the row among theirs.
  let chosen: [Int32]
  let places: [Int32]
  /// For every expert the rows that go there, rising.
  private let rows: [[Int32]]

  init(routing: Routing, weights: Matrix, chosen: [Int32]) {
    self.routing = routing
    self.weights = weights
    self.chosen = chosen
    var rows = [[Int32]](repeating: [], count: routing.experts)
    var places: [Int32] = []
    places.reserveCapacity(chosen.count)
    for (index, expert) in chosen.enumerated() {
      places.append(Int32(rows[Int(expert)].count))
      rows[Int(expert)].append(Int32(index / routing.selected))
    }
    self.places = places
    self.rows = rows
  }

  /// The rows that go to an expert, rising; none when nothing does.
  public func rows(of expert: Int) -> [Int32] { rows[expert] }

  /// For each of these rows the expert's weight among those of the row's experts.
  public func shares(of expert: Int) -> [Float] {
    let selected = routing.selected
    return rows[expert].map { row in
      let first = Int(row) * selected
      let total = (0..<selected).reduce(Float(0)) { $0 + weights.pointer[first + $1] }
      let own = (0..<selected).first { chosen[first + $0] == Int32(expert) } ?? 0
      return total > 0 ? weights.pointer[first + own] / total : 0
    }
  }
}

extension Routing {
  var kernel: dso_routing {
    dso_routing(
      experts: Int64(experts), selected: Int64(selected), sigmoid: scoring == .sigmoid ? 1 : 0, normalized: normalized ? 1 : 0,
      groups: Int64(groups?.count ?? 0), kept: Int64(groups?.kept ?? 0), two_best: groups?.rank == .bestTwo ? 1 : 0, scale: scale)
  }
}

extension Interpreter {
  func route(_ scores: Matrix, correction: [Float]?, _ routing: Routing) -> RoutedRows {
    let weights = Matrix(uninitializedRows: scores.rows, columns: routing.selected)
    var chosen = [Int32](repeating: 0, count: scores.rows * routing.selected)
    let grain = 64
    chosen.withUnsafeMutableBufferPointer { chosen in
      nonisolated(unsafe) let chosen = chosen
      correction.withOptionalPointer { correction in
        pool.run((scores.rows + grain - 1) / grain, scratchBytes: routing.experts * 8) { task, scratch in
          guard let chosen = chosen.baseAddress else { return }
          var settings = routing.kernel
          let first = task * grain
          dso_route(
            scores.row(first), Int64(scores.columns), Int64(min(grain, scores.rows - first)), correction, &settings,
            weights.row(first), chosen + first * routing.selected, scratch.assumingMemoryBound(to: Float.self))
        }
      }
    }
    return RoutedRows(routing: routing, weights: weights, chosen: chosen)
  }

  func dispatch(_ x: Matrix, to expert: Int, _ routed: RoutedRows) -> Matrix {
    let rows = routed.rows(of: expert)
    let output = Matrix(uninitializedRows: rows.count, columns: x.columns)
    rows.withUnsafeBufferPointer { rows in
      guard let rows = rows.baseAddress else { return }
      dso_gather_rows(
        x.pointer, Int64(x.columns), rows, Int64(output.rows), Int64(x.columns), output.pointer, Int64(x.columns))
    }
    return output
  }

  /// What a combining node computes of what experts gave, at this process or, whole, at several.
  func combine(_ node: Node, of graph: ModelGraph, _ routed: RoutedRows, _ values: [ValueID: Matrix]) throws -> Matrix {
    let (outputs, width) = (node.inputs.dropFirst().map { values[$0] }, graph[node.output].width ?? 0)
    if runsWhole(routed.routing) { return try gatherCombined(routed, outputs, width: width) }
    return withExtendedLifetime(outputs) { combine(routed, outputs.map { $0.map { UnsafePointer($0.pointer) } }, width: width) }
  }

  /// - Parameter outputs: what every expert gave, in order.
  func combine(_ routed: RoutedRows, _ outputs: [UnsafePointer<Float>?], width: Int) -> Matrix {
    let result = Matrix(uninitializedRows: routed.weights.rows, columns: width)
    let selected = routed.routing.selected
    routed.chosen.withUnsafeBufferPointer { chosen in
      routed.places.withUnsafeBufferPointer { places in
        outputs.withUnsafeBufferPointer { outputs in
          nonisolated(unsafe) let outputs = outputs
          pool.ranges(of: result.rows, grain: 32) { range in
            guard let chosen = chosen.baseAddress, let places = places.baseAddress, let outputs = outputs.baseAddress else { return }
            dso_combine_rows(
              outputs, chosen + range.lowerBound * selected, places + range.lowerBound * selected,
              routed.weights.row(range.lowerBound), Int64(range.count), Int64(selected), Int64(width),
              result.row(range.lowerBound), Int64(width))
          }
        }
      }
    }
    return result
  }
}
