import Diagnostics
import Distribution
import ModelGraph

extension Interpreter {
  /// Whether experts are run whole, each by one process: where every process has one at least. Else all have a part of every expert's outputs.
  package static func runsWholeExperts(_ experts: Int, among processes: Int) -> Bool { experts >= processes }

  /// The process that alone runs the expert which computes, or gets, a value (expert parallelism, Lepikhin et al. 2020, "GShard"); nil where all
  /// processes do.
  /// - Parameter routings: of the value's block.
  package func expertOwner(of value: ValueID, in graph: ModelGraph, _ routings: [ValueID: Routing]) -> Int? {
    guard isExpertParallel, let route = graph[value].route, let routing = routings[route.routing], runsWhole(routing) else { return nil }
    return peers.owner(of: route.expert)
  }

  /// Whether nobody shares the rows that this runs.
  var isAlone: Bool { peers.isAlone }

  func runsWhole(_ routing: Routing) -> Bool { isExpertParallel && Self.runsWholeExperts(routing.experts, among: peers.count) }

  /// Whether a node belongs to an expert that another process runs.
  func isElsewhere(_ node: Node, in graph: ModelGraph, _ routings: [ValueID: Routing]) -> Bool {
    guard let owner = expertOwner(of: node.output, in: graph, routings) else { return false }
    return owner != peers.rank
  }

  /// A linear layer of an expert that another process runs: how many rows it has is known, what they are is not.
  func runElsewhere(
    _ node: Node, of graph: ModelGraph, _ routes: [ValueID: RoutedRows], observer: LinearObserver?
  ) throws {
    guard case .linear = node.operation, let route = graph[node.output].route else { return }
    let rows = try routes.rows(of: route.routing, node).rows(of: route.expert)
    let (inputs, outputs) = (graph[node.inputs[0]].width ?? 0, graph[node.output].width ?? 0)
    WorkMeter.add(Double(rows.count) * Double(inputs) * Double(outputs))
    try observer?(
      LinearRun(
        node: node, input: Matrix(rows: 0, columns: inputs), output: Matrix(rows: 0, columns: outputs), routed: routes[route.routing],
        rows: rows, isElsewhere: true))
  }

  /// Puts together what experts gave that each process has run whole: one message for all of them.
  /// - Parameter outputs: what every expert gave that is this process's, in order.
  func gatherCombined(_ routed: RoutedRows, _ outputs: [Matrix?], width: Int) throws -> Matrix {
    let experts = routed.routing.experts
    // Those of a process behind each other, process after process.
    let order = (0..<peers.count).map { rank in Array(stride(from: rank, to: experts, by: peers.count)) }
    let counts = order.map { $0.reduce(0) { $0 + routed.rows(of: $1).count } }
    let parcel = Matrix(uninitializedRows: counts.reduce(0, +), columns: width)
    var places = [UnsafePointer<Float>?](repeating: nil, count: experts)
    var first = 0
    for expert in order.joined() {
      places[expert] = UnsafePointer(parcel.row(first))
      if let output = outputs[expert] { parcel.row(first).update(from: output.pointer, count: output.values) }
      first += routed.rows(of: expert).count
    }
    try peers.gather(parcel.bytes, counts: counts.map { $0 * width * MemoryLayout<Float>.stride })
    return withExtendedLifetime(parcel) { combine(routed, places, width: width) }
  }
}
