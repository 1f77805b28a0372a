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

  /// Sums over pieces of the rows that do not depend on the threads, then over the pieces.
  func layerNorm(_ node: Node, _ gradient: Matrix, epsilon: Float) throws {
    let input = try tape.value(node.inputs[0], of: node)
    let width = input.columns
    let gain = try tape.parameter(0, of: node).vector
    let (gainSum, biasSum) = (
      try sum(for: node.parameters[0], rows: 1, columns: width), try sum(for: node.parameters[1], rows: 1, columns: width)
    )
    let target = target(for: node.inputs[0], rows: input.rows, columns: width)
    let piece = max(1, 16_384 / width)
    let pieces = (input.rows + piece - 1) / piece
    let partial = gainSum.map { _ in Matrix(rows: pieces, columns: width) }
    pool.run(pieces) { task, _ in
      let first = task * piece
      dso_layer_norm_backward(
        input.row(first), Int64(width), gain, gradient.row(first), Int64(width), target?.accumulate == true ? 1 : 0,
        target.map { $0.matrix.row(first) }, Int64(width), partial?.row(task), Int64(min(piece, input.rows - first)), Int64(width), epsilon)
    }
    if let gainSum, let partial { dso_sum_rows(partial.pointer, Int64(width), Int64(pieces), Int64(width), gainSum.pointer) }
    if let biasSum { addRows(of: gradient, to: biasSum) }
  }

  /// Sums over pieces of the rows that do not depend on the threads, then over the pieces.
  func dynamicTanh(_ node: Node, _ gradient: Matrix) throws {
    let input = try tape.value(node.inputs[0], of: node)
    let width = input.columns
    let (gain, steepness) = (try tape.parameter(0, of: node).vector, try tape.parameter(2, of: node).vector.first ?? 0)
    let gainSum = try sum(for: node.parameters[0], rows: 1, columns: width)
    let biasSum = try sum(for: node.parameters[1], rows: 1, columns: width)
    let steepnessSum = try sum(for: node.parameters[2], rows: 1, columns: 1)
    let target = target(for: node.inputs[0], rows: input.rows, columns: width)
    let piece = max(1, 16_384 / width)
    let pieces = (input.rows + piece - 1) / piece
    let partial = Matrix(rows: pieces, columns: width)
    let steep = Matrix(rows: pieces, columns: 1)
    pool.run(pieces) { task, _ in
      let first = task * piece
      dso_dynamic_tanh_backward(
        input.row(first), Int64(width), steepness, gain, gradient.row(first), Int64(width), target?.accumulate == true ? 1 : 0,
        target.map { $0.matrix.row(first) }, Int64(width), partial.row(task), steep.row(task), Int64(min(piece, input.rows - first)),
        Int64(width))
    }
    if let gainSum { dso_sum_rows(partial.pointer, Int64(width), Int64(pieces), Int64(width), gainSum.pointer) }
    if let steepnessSum { dso_sum_rows(steep.pointer, 1, Int64(pieces), 1, steepnessSum.pointer) }
    if let biasSum { addRows(of: gradient, to: biasSum) }
  }

  func addRow(_ node: Node, _ gradient: Matrix, _ choice: RowChoice) throws {
    contribute(gradient, to: node.inputs[0])
    let table = try tape.parameter(0, of: node).view
    guard let sum = try sum(for: node.parameters[0], rows: Int(table.n), columns: Int(table.k)) else { return }
    for (first, length, position) in tape.sequences.sequences {
      for index in 0..<length {
        let row = if case .constant(let number) = choice { number } else { position + index }
        dso_add(gradient.row(first + index), sum.row(row), Int64(gradient.columns))
      }
    }
  }

  func activation(_ node: Node, _ gradient: Matrix, _ activation: Activation) throws {
    let input = try tape.value(node.inputs[0], of: node)
    let result = Matrix(uninitializedRows: input.rows, columns: input.columns)
    let ones = Interpreter.ones
    pool.ranges(of: input.values, grain: 8192) { range in
      for begin in stride(from: range.lowerBound, to: range.upperBound, by: ones.count) {
        dso_gated_activation_backward(
          activation.kernel, input.pointer + begin, ones, gradient.pointer + begin, result.pointer + begin, nil,
          Int64(min(ones.count, range.upperBound - begin)))
      }
    }
    contribute(result, to: node.inputs[0])
  }

  /// Turns back, in place when the gradient is nobody else's.
  func rotate(_ node: Node, _ gradient: inout Matrix, _ rotary: RotaryEmbedding) throws {
    let own = isKnownUniquelyReferenced(&gradient)
    contribute(interpreter.rotate(gradient, rotary, tape.sequences, inPlace: own, inverse: true), to: node.inputs[0])
  }

  /// Of `y = x · m / n + b` with n held constant: dx = dy · m / n, dm = the sum over rows of dy · x / n, db = that of dy.
  func magnitude(_ node: Node, _ gradient: Matrix) throws {
    let input = try tape.value(node.inputs[0], of: node)
    let parameters = try node.parameters.indices.map { try tape.parameter($0, of: node) }
    if node.parameters.count > 2, let sum = try sum(for: node.parameters[2], rows: 1, columns: gradient.columns) {
      addRows(of: gradient, to: sum)
    }
    if let sum = try sum(for: node.parameters[0], rows: 1, columns: gradient.columns) {
      let shares = parameters[1].vector.map { $0 > 0 ? 1 / $0 : 0 }
      let products = Matrix(uninitializedRows: gradient.rows, columns: gradient.columns)
      pool.ranges(of: gradient.rows, grain: max(1, 16_384 / max(1, gradient.columns))) { range in
        for row in range {
          products.row(row).update(from: gradient.row(row), count: gradient.columns)
          dso_scale_elements(products.row(row), input.row(row), 1, Int64(gradient.columns))
          dso_scale_elements(products.row(row), shares, 1, Int64(gradient.columns))
        }
      }
      addRows(of: products, to: sum)
    }
    guard isNeeded(node.inputs[0]) else { return }
    contribute(interpreter.setMagnitude(gradient, Array(parameters.prefix(2)), inPlace: false), to: node.inputs[0])
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
