import ModelGraph

extension BackwardPass {
  func slice(_ node: Node, _ gradient: Matrix, _ slice: HeadSlice) {
    guard let target = target(for: node.inputs[0], rows: gradient.rows, columns: slice.heads * slice.width) else { return }
    // What no slice picked has no gradient.
    if !target.accumulate { target.matrix.pointer.initialize(repeating: 0, count: target.matrix.values) }
    interpreter.copyHeads(
      gradient, from: 0, step: slice.count, to: target.matrix, at: slice.start, step: slice.width, heads: slice.heads, width: slice.count,
      adding: true)
  }

  func joinHeads(_ node: Node, _ gradient: Matrix, _ join: HeadJoin) {
    let width = join.left + join.right
    if isNeeded(node.inputs[0]) {
      contribute(interpreter.slice(gradient, HeadSlice(heads: join.heads, width: width, start: 0, count: join.left)), to: node.inputs[0])
    }
    guard isNeeded(node.inputs[1]) else { return }
    guard join.sharesRight else {
      let slice = HeadSlice(heads: join.heads, width: width, start: join.left, count: join.right)
      return contribute(interpreter.slice(gradient, slice), to: node.inputs[1])
    }
    let sum = Matrix(rows: gradient.rows, columns: join.right)
    interpreter.copyHeads(
      gradient, from: join.left, step: width, to: sum, at: 0, step: 0, heads: join.heads, width: join.right, adding: true)
    contribute(sum, to: node.inputs[1])
  }
}
