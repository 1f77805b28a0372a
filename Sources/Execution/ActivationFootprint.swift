import ModelGraph

extension ModelGraph {
  /// Bytes of activations that running a block over that many rows holds at once, its input and its output among them.
  ///
  /// It follows the interpreter: a value lives from the node that computes it to the last one that reads it, and some nodes overwrite what no
  /// other reads. All rows may go to one expert as it computes; what experts hand on has as many rows together as the routing chooses.
  package func activationBytes(of block: Block, rows: Int) -> Int {
    var lastUse: [ValueID: Int] = [:]
    for index in block.nodes { for value in nodes[index].inputs { lastUse[value] = index } }
    let input = boundary(of: block).input
    func bytes(_ value: ValueID, rows: Int) -> Int { rows * (self[value].width ?? 0) * MemoryLayout<Float>.stride }
    // What waits for the experts after it: of all of them together exactly the rows that were chosen.
    func waitingBytes(_ value: ValueID) -> Int {
      guard let (routing, _) = self[value].route, let chosen = self.routing(of: routing) else { return bytes(value, rows: rows) }
      return bytes(value, rows: (rows * chosen.selected + chosen.experts - 1) / max(1, chosen.experts))
    }
    var live = bytes(input, rows: rows)
    var most = live
    var held: [ValueID: Int] = [:]
    for index in block.nodes {
      let node = nodes[index]
      guard self[node.output].width != nil else { continue }
      let spent = node.inputs.filter { lastUse[$0] == index && $0 != input }
      let computed = node.overwritesInputs && !spent.isEmpty ? 0 : bytes(node.output, rows: rows)
      most = max(most, live + computed)
      live += computed
      for value in spent {
        // What was overwritten lives on as the output.
        if let size = held.removeValue(forKey: value) { live -= size }
      }
      let waits = self[node.output].route != nil && (lastUse[node.output].map { nodes[$0].gathersExperts } ?? false)
      let size = waits ? waitingBytes(node.output) : bytes(node.output, rows: rows)
      live += size - computed
      held[node.output] = size
      most = max(most, live)
    }
    return most
  }
}

extension Node {
  fileprivate var overwritesInputs: Bool {
    switch operation {
    case .rotary, .activation, .gatedActivation, .scale, .magnitude, .add: true
    default: false
    }
  }

  fileprivate var gathersExperts: Bool {
    if case .combine = operation { true } else { false }
  }
}
