import CKernels
import Distribution
import ModelGraph
import Tensors

extension Interpreter {
  /// A linear layer on rows that several processes run together: each computes a range of the outputs, and all get all of them (tensor
  /// parallelism by columns, Shoeybi et al. 2019, "Megatron-LM"). No sum is cut, so that every element is what one process computes.
  ///
  /// Of a weight that lies in a mapped file a process reads its own rows alone.
  /// - Parameter isWhole: whether this process computes all of it, for it is the only one that does.
  func sharedLinear(
    _ x: Matrix, _ weight: LoadedParameter, bias: [Float]?, quantization: ActivationQuantization, isWhole: Bool = false
  ) throws -> Matrix {
    guard !peers.isAlone, !isWhole else { return linear(x, weight, bias: bias, quantization: quantization) }
    let output = Matrix(uninitializedRows: x.rows, columns: Int(weight.view.n))
    let parts = Self.outputRanges(output.columns, among: peers.count)
    if !parts[peers.rank].isEmpty {
      linear(x, rows: 0..<x.rows, weight, bias: bias, quantization: quantization, columns: parts[peers.rank], into: output)
    }
    try gather(parts, of: output)
    return output
  }

  /// Which heads each process attends with, and which this one does.
  func divided(heads count: Int) -> (all: [Range<Int>], own: Range<Int>) {
    let all = (0..<peers.count).map { count * $0 / peers.count..<count * ($0 + 1) / peers.count }
    return (all, all[peers.rank])
  }

  /// Puts the columns that each process has computed into the matrices of all.
  func gather(_ parts: [Range<Int>], of output: Matrix) throws {
    guard !peers.isAlone else { return }
    let rows = output.rows
    // The parts behind each other, each a matrix by itself, as messages take them.
    let parcel = Matrix(uninitializedRows: rows, columns: output.columns)
    func place(_ rank: Int) -> UnsafeMutablePointer<Float> { parcel.pointer + rows * parts[rank].lowerBound }
    let own = parts[peers.rank]
    let mine = place(peers.rank)
    pool.ranges(of: rows, grain: 64) { range in
      for row in range { (mine + row * own.count).update(from: output.row(row) + own.lowerBound, count: own.count) }
    }
    try peers.gather(parcel.bytes, counts: parts.map { $0.count * rows * MemoryLayout<Float>.stride })
    for (rank, columns) in parts.enumerated() where rank != peers.rank {
      let part = place(rank)
      pool.ranges(of: rows, grain: 64) { range in
        for row in range { (output.row(row) + columns.lowerBound).update(from: part + row * columns.count, count: columns.count) }
      }
    }
  }

  /// What of a block's parameters this process computes with, where it does not need all of them whole.
  func share(of block: Block, in graph: ModelGraph) -> BlockShare {
    guard !peers.isAlone else { return BlockShare() }
    var share = BlockShare()
    var used = Set<ParameterID>()
    let routings = graph.routings(of: block.nodes)
    func isDivided(_ node: Node) -> Bool { node.operation == .linear && expertOwner(of: node.output, in: graph, routings) == nil }
    for node in graph.nodes[block.nodes] {
      guard !isElsewhere(node, in: graph, routings) else {
        share.absent.formUnion(node.parameters)
        continue
      }
      used.formUnion(node.parameters)
      guard isDivided(node), let id = node.parameters.first, graph[id].shape.rank == 2 else { continue }
      share.rows[id] = Self.outputRanges(graph[id].shape[0], among: peers.count)[peers.rank]
    }
    share.absent.subtract(used)
    // What others use as well is needed whole.
    for node in graph.nodes[block.nodes] {
      for id in isDivided(node) ? node.parameters.dropFirst() : node.parameters[...] { share.rows[id] = nil }
    }
    return share
  }

  /// Which outputs each of so many processes computes: as many for each as whole tiles of the kernels allow, where there are enough.
  package static func outputRanges(_ outputs: Int, among count: Int) -> [Range<Int>] {
    let tile = Int(dso_matmul_tile_n())
    // A multiple of a cache line where a tile for each would be too much.
    let unit = outputs >= 2 * tile * count ? tile : 16
    let units = (outputs + unit - 1) / unit
    return (0..<count).map { rank in
      min(outputs, units * rank / count * unit)..<min(outputs, units * (rank + 1) / count * unit)
    }
  }
}

/// What a process computes with of a block.
struct BlockShare {
  /// Rows of weights whose other rows it does not need.
  var rows: [ParameterID: Range<Int>] = [:]
  /// What others alone compute with.
  var absent: Set<ParameterID> = []
}
