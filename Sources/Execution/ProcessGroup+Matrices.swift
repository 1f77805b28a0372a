import Distribution
import ModelGraph

extension ProcessGroup {
  /// A matrix that one process has, at all of them.
  package func broadcast(_ matrix: Matrix?, from root: Int) throws -> Matrix {
    if isAlone, let matrix { return matrix }
    let shape = try [matrix?.rows ?? 0, matrix?.columns ?? 0].map { try broadcast(Int64($0), from: root) }
    let result = matrix ?? Matrix(uninitializedRows: Int(shape[0]), columns: Int(shape[1]))
    try broadcast(result.bytes, from: root)
    return result
  }

  /// What the linear layers of a block read while one process ran it, at all of them. Layers that read the same matrix share it there as well.
  /// - Parameters:
  ///   - record: of the process that ran the block; nil at the others.
  ///   - graph: at every process the same.
  ///   - reader: the one process that looks at what is read of a value, or nil for all: the others get a matrix without rows.
  package func broadcast(
    _ record: RecordedRuns?, from root: Int, of graph: ModelGraph, to reader: ((ValueID) -> Int?)? = nil
  ) throws -> [LinearRun] {
    let runs = record?.runs ?? []
    guard !isAlone else { return runs }
    var matrices: [Matrix] = []
    var routes: [RoutedRows] = []
    func place<Object: AnyObject>(_ object: Object, in list: inout [Object]) -> Int {
      if let known = list.lastIndex(where: { $0 === object }) { return known }
      list.append(object)
      return list.count - 1
    }
    // Of every run: the place of its node, those of what it read and gave, of its router's choice, and its rows.
    var notes: [Int64] = []
    for run in runs {
      notes.append(Int64(run.node.output.index))
      notes.append(Int64(place(run.input, in: &matrices)))
      notes.append(record?.hasOutputs == true ? Int64(place(run.output, in: &matrices)) : -1)
      notes.append(run.routed.map { Int64(place($0, in: &routes)) } ?? -1)
      notes.append(Int64(run.rows?.count ?? -1))
      notes += (run.rows ?? []).map(Int64.init)
    }
    notes = try broadcast(notes, from: root)
    let counts = try broadcast([Int64(matrices.count), Int64(routes.count)], from: root)
    let nodes = Dictionary(graph.nodes.map { ($0.output.index, $0) }) { first, _ in first }
    let readers = Self.readers(notes, of: nodes, reader)
    for index in 0..<Int(counts[0]) {
      let own = rank == root ? matrices[index] : nil
      var shown = own
      if let reader = readers[index] {
        shown = try pair(from: root, to: reader)?.broadcast(own, from: 0) ?? shown
      } else {
        shown = try broadcast(own, from: root)
      }
      if rank != root { matrices.append(shown ?? RecordedRuns.noOutput) }
    }
    var choices: [(weights: Matrix, chosen: [Int32])] = []
    for index in 0..<Int(counts[1]) {
      let own = rank == root ? routes[index] : nil
      let weights = try broadcast(own?.weights, from: root)
      let chosen = try broadcast(own?.chosen ?? [], from: root)
      choices.append((weights, chosen))
    }
    if rank == root { return runs }
    var result: [LinearRun] = []
    var rest = notes[...]
    while rest.count >= 5, let node = nodes[Int(rest[rest.startIndex])] {
      let note = rest.prefix(5).map(Int.init)
      rest = rest.dropFirst(5)
      // The router that the layer's own expert belongs to.
      if choices.indices.contains(note[3]), routes.count == note[3], let router = graph[node.output].route?.routing,
        case .route(let routing)? = nodes[router.index]?.operation
      {
        routes.append(RoutedRows(routing: routing, weights: choices[note[3]].weights, chosen: choices[note[3]].chosen))
      }
      let rows = note[4] < 0 ? nil : rest.prefix(note[4]).map(Int32.init)
      rest = rest.dropFirst(max(0, note[4]))
      result.append(
        LinearRun(
          node: node, input: matrices[note[1]], output: note[2] < 0 ? RecordedRuns.noOutput : matrices[note[2]],
          routed: routes.indices.contains(note[3]) ? routes[note[3]] : nil, rows: rows))
    }
    return result
  }

  /// Who gets which matrix alone, as the notes of the runs name them. What layers give goes to all.
  private static func readers(_ notes: [Int64], of nodes: [Int: Node], _ reader: ((ValueID) -> Int?)?) -> [Int: Int] {
    guard let reader else { return [:] }
    var result: [Int: Int] = [:]
    var rest = notes[...]
    while rest.count >= 5, let node = nodes[Int(rest[rest.startIndex])] {
      let note = rest.prefix(5).map(Int.init)
      result[note[1]] = reader(node.inputs[0])
      rest = rest.dropFirst(5 + max(0, note[4]))
    }
    return result
  }
}
