import StructuredData

/// The passes of a report as YAML: the `passes:` of a recipe.
struct RecipeListing {
  private let passes: [JSONValue]

  init(_ passes: [JSONValue]) { self.passes = passes }

  /// Whether a recipe can hold them. Fine-tuning is told in the same list, and is no pass.
  var isRunnable: Bool { !passes.contains { $0["pass"]?.string == "finetune" } }

  /// Every option on a line; nested values are JSON, which is YAML, too.
  var yaml: String {
    var lines = ["passes:"]
    for pass in passes {
      guard let members = pass.object?.members, let name = pass["pass"]?.string else {
        lines.append("- \(pass.text(pretty: false))")
        continue
      }
      lines.append("- \(FrontMatter.scalar(name)):")
      for member in members where member.key != "pass" {
        lines.append("    \(FrontMatter.scalar(member.key)): \(member.value.text(pretty: false))")
      }
    }
    return lines.joined(separator: "\n")
  }
}
