/// Where a layer sits: which block, and what kind of projection it is there.
struct LayerPosition {
  /// The first number in the name; nil outside the blocks (embedding, head).
  var block: Int?
  /// The words after the block: `self_attn.q_proj`, `mlp.experts.gate_proj`; numbers of experts left out.
  var path: [String]

  init(name: String) {
    var parts = name.split(separator: ".").map(String.init)
    if parts.last == "weight", parts.count > 1 { parts.removeLast() }
    let index = parts.firstIndex { $0.allSatisfy(\.isNumber) && Int($0) != nil }
    block = index.flatMap { Int(parts[$0]) }
    let tail = index.map { Array(parts[($0 + 1)...]) } ?? parts
    let words = tail.filter { Int($0) == nil }
    path = words.isEmpty ? [name] : words
  }

  /// The shortest endings of the paths that tell the kinds apart: `q_proj`, and `experts.gate_proj` beside `mlp.gate_proj`.
  ///
  /// - Returns: the kinds in order of first appearance, and the kind of each layer.
  static func kinds(of layers: [CompressionReport.Layer]) -> (order: [String], positions: [(kind: String, block: Int?)]) {
    let positions = layers.map { LayerPosition(name: $0.name) }
    var paths: [[String]] = []
    var known: Set<[String]> = []
    for position in positions where known.insert(position.path).inserted { paths.append(position.path) }
    var names: [[String]: String] = [:]
    // Paths that share their last word, the usual case being a handful.
    let families = Dictionary(grouping: paths) { $0.last ?? "" }
    for family in families.values {
      for path in family {
        let length = (1...path.count).first { length in
          family.count { $0.suffix(length).elementsEqual(path.suffix(length)) } == 1
        }
        names[path] = path.suffix(length ?? path.count).joined(separator: ".")
      }
    }
    return (paths.map { names[$0] ?? "" }, positions.map { (names[$0.path] ?? "", $0.block) })
  }
}
