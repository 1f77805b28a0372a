import Diagnostics
import ModelGraph

extension ModulePattern {
  /// What to do about a pattern that matches nothing: the layer that may have been meant, by its whole name or by its end.
  func remedy(in graph: ModelGraph) -> String {
    let scopes = graph.blocks.flatMap { graph.linears(of: $0) }.map(\.node.scope)
    let general = "`inspect` lists the layers; a regular expression starts with re:"
    guard !text.hasPrefix("re:") else { return general }
    // Names are told apart by their ends: q_proj, mlp.down_proj.
    var names: [String] = []
    var known = Set<String>()
    let parts = text.utf8.count { $0 == UInt8(ascii: ".") } + 1
    for scope in scopes {
      let end = scope.split(separator: ".").suffix(parts).joined(separator: ".")
      if known.insert(end).inserted { names.append(end) }
    }
    guard let near = NameSuggestion.nearest(to: text, among: names) else { return general }
    return "did you mean '\(near)'? \(general)"
  }
}
