import CKernels
import ModelGraph

extension BackwardPass {
  /// Rows of the table get the sum over their tokens, in the order of tokens: threads share columns, not rows.
  func embedding(_ node: Node, _ gradient: Matrix) throws {
    let table = try tape.parameter(0, of: node).view
    guard let sum = try sum(for: node.parameters[0], rows: Int(table.n), columns: Int(table.k)) else { return }
    pool.ranges(of: sum.columns, grain: 64) { range in
      for (row, token) in tape.tokens.enumerated() {
        dso_add(gradient.row(row) + range.lowerBound, sum.row(Int(token)) + range.lowerBound, Int64(range.count))
      }
    }
  }

  /// The gain's gradient is summed over pieces of the rows that do not depend on the threads, then over the pieces.
  func rmsNorm(_ node: Node, _ gradient: Matrix, epsilon: Float, width: Int) throws {
    let input = try tape.value(node.inputs[0], of: node)
    let gain = try tape.parameter(0, of: node).vector
    let gainSum = try sum(for: node.parameters[0], rows: 1, columns: width)
    let target = target(for: node.inputs[0], rows: input.rows, columns: input.columns)
    let runs = input.values / width
    let piece = max(1, 16_384 / width)
    let pieces = (runs + piece - 1) / piece
    let partial = gainSum.map { _ in Matrix(rows: pieces, columns: width) }
    pool.run(pieces) { task, _ in
      let offset = task * piece * width
      dso_rms_norm_backward(
        input.pointer + offset, Int64(width), gain, gradient.pointer + offset, Int64(width), target?.accumulate == true ? 1 : 0,
        target.map { $0.matrix.pointer + offset }, Int64(width), partial?.row(task), Int64(min(piece, runs - task * piece)),
        Int64(width), epsilon)
    }
    if let gainSum, let partial { dso_sum_rows(partial.pointer, Int64(width), Int64(pieces), Int64(width), gainSum.pointer) }
  }

  /// Turns back, in place when the gradient is nobody else's.
  func rotate(_ node: Node, _ gradient: inout Matrix, _ rotary: RotaryEmbedding) throws {
    let own = isKnownUniquelyReferenced(&gradient)
    contribute(interpreter.rotate(gradient, rotary, tape.sequences, inPlace: own, inverse: true), to: node.inputs[0])
  }

  func gatedActivation(_ node: Node, _ gradient: Matrix, _ activation: Activation) throws {
    let (gate, up) = (try tape.value(node.inputs[0], of: node), try tape.value(node.inputs[1], of: node))
    let results = node.inputs.map { isNeeded($0) ? Matrix(uninitializedRows: gate.rows, columns: gate.columns) : nil }
    pool.ranges(of: gate.values, grain: 8192) { range in
      let begin = range.lowerBound
      dso_gated_activation_backward(
        activation.kernel, gate.pointer + begin, up.pointer + begin, gradient.pointer + begin, results[0].map { $0.pointer + begin },
        results[1].map { $0.pointer + begin }, Int64(range.count))
    }
    for (result, input) in zip(results, node.inputs) { if let result { contribute(result, to: input) } }
  }
}
