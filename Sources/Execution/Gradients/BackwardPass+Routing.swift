import CKernels
import ModelGraph

extension BackwardPass {
  /// Of the weights, which are the value of a routing as far as gradients go: the choice is taken as a constant.
  func route(_ node: Node, _ gradient: Matrix, _ routing: Routing) throws {
    let scores = try tape.value(node.inputs[0], of: node)
    let routed = try tape.routes.rows(of: node.output, node)
    let result = Matrix(uninitializedRows: scores.rows, columns: scores.columns)
    let grain = 64
    routed.chosen.withUnsafeBufferPointer { chosen in
      nonisolated(unsafe) let chosen = chosen
      pool.run((scores.rows + grain - 1) / grain, scratchBytes: routing.experts * 4) { task, scratch in
        guard let chosen = chosen.baseAddress else { return }
        var settings = routing.kernel
        let first = task * grain
        dso_route_backward(
          scores.row(first), Int64(scores.columns), Int64(min(grain, scores.rows - first)), &settings,
          chosen + first * routing.selected, gradient.row(first), result.row(first), Int64(result.columns),
          scratch.assumingMemoryBound(to: Float.self))
      }
    }
    contribute(result, to: node.inputs[0])
  }

  func dispatch(_ node: Node, _ gradient: Matrix, _ expert: Int) throws {
    let routed = try tape.routes.rows(of: node.inputs[1], node)
    let rows = routed.rows(of: expert)
    guard let target = target(for: node.inputs[0], rows: routed.weights.rows, columns: gradient.columns) else { return }
    if !target.accumulate { target.matrix.pointer.initialize(repeating: 0, count: target.matrix.values) }
    rows.withUnsafeBufferPointer { rows in
      nonisolated(unsafe) let rows = rows
      pool.ranges(of: rows.count, grain: 32) { range in
        guard let rows = rows.baseAddress else { return }
        dso_scatter_rows(
          gradient.row(range.lowerBound), Int64(gradient.columns), rows + range.lowerBound, Int64(range.count), Int64(gradient.columns),
          target.matrix.pointer, Int64(target.matrix.columns))
      }
    }
  }

  func combine(_ node: Node, _ gradient: Matrix) throws {
    let routed = try tape.routes.rows(of: node.inputs[0], node)
    let experts = Array(node.inputs.dropFirst())
    let outputs = try experts.map { try tape.value($0, of: node) }
    let results = zip(experts, outputs).map { value, output in
      isNeeded(value) ? Matrix(uninitializedRows: output.rows, columns: output.columns) : nil
    }
    let (rows, selected) = (gradient.rows, routed.routing.selected)
    let weightGradient = isNeeded(node.inputs[0]) ? Matrix(uninitializedRows: rows, columns: selected) : nil
    let sources = outputs.map { Optional(UnsafePointer($0.pointer)) }
    let targets = results.map { $0?.pointer }
    withExtendedLifetime((outputs, results)) {
      sources.withUnsafeBufferPointer { sources in
        targets.withUnsafeBufferPointer { targets in
          routed.chosen.withUnsafeBufferPointer { chosen in
            routed.places.withUnsafeBufferPointer { places in
              nonisolated(unsafe) let (sources, targets) = (sources, targets)
              pool.ranges(of: rows, grain: 32) { range in
                let first = range.lowerBound
                guard let chosen = chosen.baseAddress, let places = places.baseAddress, let sources = sources.baseAddress,
                  let targets = targets.baseAddress
                else { return }
                dso_combine_rows_backward(
                  sources, chosen + first * selected, places + first * selected, routed.weights.row(first), Int64(range.count),
                  Int64(selected), Int64(gradient.columns), gradient.row(first), Int64(gradient.columns), targets,
                  weightGradient?.row(first))
              }
            }
          }
        }
      }
    }
    for (value, result) in zip(experts, results) { if let result { contribute(result, to: value) } }
    if let weightGradient { contribute(weightGradient, to: node.inputs[0]) }
  }
}
