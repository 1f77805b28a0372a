/// Where a layer sits: which block, and what kind of projection it is there.
struct LayerPosition {
  /// The first number in the name; nil outside the blocks (embedding, head).
  var block: Int?
  /// The words after the block: `self_attn.q_proj`, `mlp.experts.gate_proj`; numbers of experts left out.
  var path: [String]

  // By bytes: a large mixture of experts has tens of thousands of names, and a comparison reads those of every report.
  init(name: String) {
    var parts = name.utf8.split(separator: UInt8(ascii: "."))
    if parts.count > 1, let last = parts.last, last.elementsEqual("weight".utf8) { parts.removeLast() }
    let index = parts.firstIndex { Self.number($0) != nil }
    block = index.flatMap { Self.number(parts[$0]) }
    let tail = index.map { parts[($0 + 1)...] } ?? parts[...]
    let words = tail.filter { Self.number($0) == nil }.map { String(Substring($0)) }
    path = words.isEmpty ? [name] : words
  }

  /// The number that the digits say; nil for anything else, and beyond what fits.
  private static func number(_ text: Substring.UTF8View) -> Int? {
    var value = 0
    for byte in text {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      let (tens, isOver) = value.multipliedReportingOverflow(by: 10)
      let (sum, isBeyond) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      guard !isOver, !isBeyond else { return nil }
      value = sum
    }
    return text.isEmpty ? nil : value
  }

  /// Endings are compared in pairs: with more kinds than a model has, which only a hostile report does, they keep their whole paths.
  private static let comparedPaths = 400

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
        let length =
          paths.count > comparedPaths
          ? path.count
          : (1...path.count).first { length in
            family.count { $0.suffix(length).elementsEqual(path.suffix(length)) } == 1
          }
        names[path] = path.suffix(length ?? path.count).joined(separator: ".")
      }
    }
    return (paths.map { names[$0] ?? "" }, positions.map { (names[$0.path] ?? "", $0.block) })
  }
}
