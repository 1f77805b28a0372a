import CKernels
import Diagnostics
import ModelGraph
import Tensors

extension BackwardPass {
  /// Of `y = x · Wᵀ + b`: dx = dy · W, dW = dyᵀ · x, db = the sum of dy over rows.
  func linear(_ node: Node, _ gradient: Matrix) throws {
    try observer?(node, gradient, tape.graph.rows(of: node.output, in: tape.routes))
    let weight = try tape.parameter(0, of: node)
    let (outputs, inputs) = (Int(weight.view.n), Int(weight.view.k))
    if let target = target(for: node.inputs[0], rows: gradient.rows, columns: inputs) {
      multiply(gradient, weight, into: target.matrix, accumulate: target.accumulate)
      WorkMeter.add(Double(gradient.rows) * Double(outputs) * Double(inputs))
    }
    if gradient.rows == 0 {
      // An expert that nothing was sent to.
      _ = try sum(for: node.parameters[0], rows: outputs, columns: inputs)
    } else if let target = try target(for: node.parameters[0], rows: outputs, columns: inputs) {
      var input = try tape.value(node.inputs[0], of: node)
      if let kind = tape.graph.inputQuantization[node.parameters[0]] {
        input = interpreter.fakeQuantized(input, as: kind, for: weight, scale: kind == .int8Static ? weight.inputScale : nil)
      }
      multiplyTransposed(gradient, input, into: target.matrix, accumulate: target.accumulate)
      WorkMeter.add(Double(gradient.rows) * Double(outputs) * Double(inputs))
    }
    if node.parameters.count > 1, let sum = try sum(for: node.parameters[1], rows: 1, columns: outputs) {
      addRows(of: gradient, to: sum)
    }
  }

  /// dy · W
  private func multiply(_ gradient: Matrix, _ weight: LoadedParameter, into target: Matrix, accumulate: Bool) {
    if interpreter.products == .float16 {
      let (rounded, half) = (interpreter.roundedToHalf(gradient, rows: 0..<gradient.rows), HalfWeight(weight, pool: pool))
      return withExtendedLifetime(half) { multiply(rounded, by: half.view, into: target, accumulate: accumulate) }
    }
    multiply(gradient, by: weight.view, into: target, accumulate: accumulate)
  }

  private func multiply(_ gradient: Matrix, by weight: dso_weights, into target: Matrix, accumulate: Bool) {
    let (rowPiece, columnPiece) = pieces(rows: gradient.rows, columns: target.columns)
    let columnPieces = (target.columns + columnPiece - 1) / columnPiece
    let tasks = (gradient.rows + rowPiece - 1) / rowPiece * columnPieces
    pool.run(tasks, scratchBytes: Int(dso_gradient_product_scratch_bytes())) { task, scratch in
      var view = weight
      let row = task / columnPieces * rowPiece, column = task % columnPieces * columnPiece
      let product = interpreter.products == .bfloat16 ? dso_matmul_nn_bf16 : dso_matmul_nn_f32
      product(
        gradient.row(row), Int64(gradient.columns), Int64(min(rowPiece, gradient.rows - row)), &view, Int64(column),
        Int64(min(column + columnPiece, target.columns)), accumulate ? 1 : 0, target.row(row), Int64(target.columns), scratch)
    }
  }

  /// dyᵀ · x, cut by the rows of the result.
  private func multiplyTransposed(_ gradient: Matrix, _ input: Matrix, into target: Matrix, accumulate: Bool) {
    var (gradient, input) = (gradient, input)
    if interpreter.products == .float16 {
      gradient = interpreter.roundedToHalf(gradient, rows: 0..<gradient.rows)
      input = interpreter.roundedToHalf(input, rows: 0..<input.rows)
    }
    let (first, second) = (gradient, input)
    let wanted = pool.threads == 1 ? 1 : pool.threads * 2
    let piece = max(56, (target.rows + wanted - 1) / wanted)
    pool.run((target.rows + piece - 1) / piece, scratchBytes: Int(dso_gradient_product_scratch_bytes())) { task, scratch in
      let begin = task * piece
      let product = interpreter.products == .bfloat16 ? dso_matmul_tn_bf16 : dso_matmul_tn_f32
      product(
        first.pointer, Int64(first.columns), Int64(begin), Int64(min(begin + piece, target.rows)), second.pointer,
        Int64(second.columns), Int64(target.columns), Int64(first.rows), accumulate ? 1 : 0, target.pointer, Int64(target.columns),
        scratch)
    }
  }

  /// Rows first, since they are many; columns when there are not enough rows for all threads.
  private func pieces(rows: Int, columns: Int) -> (rows: Int, columns: Int) {
    let wanted = pool.threads == 1 ? 1 : pool.threads * 2
    if rows >= wanted * 112 { return ((rows + wanted - 1) / wanted, max(1, columns)) }
    let tile = max(1, Int(dso_matmul_tile_n()))
    return (max(1, rows), max(tile, (columns / wanted + tile - 1) / tile * tile))
  }

  func addRows(of gradient: Matrix, to sum: Matrix) {
    pool.ranges(of: gradient.columns, grain: 64) { range in
      dso_sum_rows(
        gradient.pointer + range.lowerBound, Int64(gradient.columns), Int64(gradient.rows), Int64(range.count),
        sum.pointer + range.lowerBound)
    }
  }
}
