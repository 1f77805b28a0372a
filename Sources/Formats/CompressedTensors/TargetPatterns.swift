/// Short lists of targets for long lists of modules. A mixture of experts has tens of thousands of linear layers, and loaders compare
/// every module with every target.
enum TargetPatterns {
  /// Names and `re:` expressions that match every one of `members` and nothing else of `universe`.
  static func covering(_ members: [String], among universe: [String]) -> [String] {
    var templates: [Template: (members: [String], all: [String])] = [:]
    var order: [Template] = []
    for name in members {
      let template = Template(name)
      if templates[template] == nil { order.append(template) }
      templates[template, default: ([], [])].members.append(name)
    }
    for name in universe { templates[Template(name)]?.all.append(name) }
    return order.flatMap { template in
      templates[template].map { targets(template, members: $0.members, all: $0.all) } ?? []
    }
  }

  /// A module name with its numbers left open: `model.layers.*.mlp.experts.*.up_proj`.
  private struct Template: Hashable {
    let parts: [String?]

    init(_ name: String) {
      parts = name.split(separator: ".", omittingEmptySubsequences: false).map { Self.isNumber($0) ? nil : String($0) }
    }

    static func isNumber(_ part: Substring) -> Bool {
      !part.isEmpty && part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// The first number of a name of this template, as it is written.
    func firstNumber(of name: String) -> String? {
      name.split(separator: ".", omittingEmptySubsequences: false).first(where: Self.isNumber).map(String.init)
    }

    /// The expression of the names whose first number is one of these; nil leaves it open.
    func expression(firstNumbers: [String]?) -> String {
      var isFirst = true
      let pieces = parts.map { part -> String in
        if let part { return part == "shared_experts" ? Self.sharedExperts : escaped(part) }
        defer { isFirst = false }
        if isFirst, let firstNumbers { return firstNumbers.count == 1 ? firstNumbers[0] : "(?:\(firstNumbers.joined(separator: "|")))" }
        return "[0-9]+"
      }
      return "re:" + pieces.joined(separator: "\\.") + "$"
    }

    /// transformers 5 takes the first group with an expression that has "experts" in it for that of the routed ones: these must not.
    private static let sharedExperts = "shared_expert[s]"

    private func escaped(_ text: String) -> String {
      String(text.unicodeScalars.flatMap { ".^$*+?{}[]\\|()".unicodeScalars.contains($0) ? ["\\", Character($0)] : [Character($0)] })
    }
  }

  private static func targets(_ template: Template, members: [String], all: [String]) -> [String] {
    guard members.count > 1 else { return members }
    if members.count == all.count { return [template.expression(firstNumbers: nil)] }
    // Layers of which every module belongs here make one expression, the rest is named.
    let byLayer = Dictionary(grouping: members) { template.firstNumber(of: $0) ?? "" }
    let sizes = Dictionary(grouping: all) { template.firstNumber(of: $0) ?? "" }.mapValues(\.count)
    let whole = byLayer.filter { sizes[$0.key] == $0.value.count }
    let layers = whole.keys.sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
    let named = members.filter { whole[template.firstNumber(of: $0) ?? ""] == nil }
    return (layers.isEmpty ? [] : [template.expression(firstNumbers: layers)]) + named
  }
}
