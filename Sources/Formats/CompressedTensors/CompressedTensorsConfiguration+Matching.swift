import StructuredData
import Tensors

extension CompressedTensorsConfiguration {
  /// The group that quantizes a module, by the rules of compressed-tensors 0.20: nil when no target matches, or when `ignore` does.
  ///
  /// Full names win over expressions, and these over class names; among equals the first in the order of their characters. A target that
  /// several groups list belongs to the last of them.
  ///
  /// A checkpoint does not tell the classes of its modules. Whatever is quantized is taken for a `Linear`, except that modules named like
  /// an embedding are an `Embedding`.
  public func group(of module: String) -> Group? { matcher.group(of: module).map { groups[$0] } }

  /// Targets and entries of `ignore`, compiled.
  struct Matcher: Sendable {
    private struct Expression: Sendable {
      let pattern: NamePattern
      let group: Int
    }

    private var names: NameTable<Int>
    private var expressions: [Expression] = []
    private var ignoredNames: NameTable<Int>
    private var ignoredExpressions: [NamePattern] = []

    init(groups: [Group], ignore: [String]) throws(NamePatternError) {
      var owners: [(target: String, group: Int)] = []
      for (position, group) in groups.enumerated() {
        for target in group.targets { owners.append((target, position)) }
      }
      // Stable: of equal targets the last group comes last.
      let sorted = owners.enumerated().sorted {
        let order = compareBytes($0.element.target, $1.element.target)
        return order == 0 ? $0.offset < $1.offset : order < 0
      }.map(\.element)
      var distinct: [(target: String, group: Int)] = []
      for owner in sorted {
        if let last = distinct.last, compareBytes(last.target, owner.target) == 0 { distinct.removeLast() }
        distinct.append(owner)
      }
      names = NameTable(distinct.filter { !Self.isExpression($0.target) }.map { ($0.target, $0.group) })
      for owner in distinct where Self.isExpression(owner.target) {
        expressions.append(Expression(pattern: try NamePattern(String(owner.target.dropFirst(3))), group: owner.group))
      }
      ignoredNames = NameTable(ignore.filter { !Self.isExpression($0) }.map { ($0, 0) })
      for entry in ignore where Self.isExpression(entry) {
        ignoredExpressions.append(try NamePattern(String(entry.dropFirst(3))))
      }
    }

    private static func isExpression(_ target: String) -> Bool { target.hasPrefix("re:") }

    func group(of module: String) -> Int? {
      let classes = Self.classes(of: module)
      guard ignoredNames[module] == nil, !classes.contains(where: { ignoredNames[$0] != nil }),
        !ignoredExpressions.contains(where: { $0.matches(module) })
      else { return nil }
      if let group = names[module] { return group }
      if let found = expressions.first(where: { $0.pattern.matches(module) }) { return found.group }
      for name in classes { if let group = names[name] { return group } }
      return nil
    }

    /// The class and its ancestors, sorted. `Module` is the ancestor of all, so a target may say it.
    private static func classes(of module: String) -> [String] {
      let last = module.split(separator: ".").last ?? ""
      return last.contains("embed") ? ["Embedding", "Module"] : ["Linear", "Module"]
    }
  }
}
