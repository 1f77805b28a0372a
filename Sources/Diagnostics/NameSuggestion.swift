/// What somebody may have meant by a name that is not known.
package enum NameSuggestion {
  /// The name that is nearest to what was typed, or nil when none is near enough to be meant.
  ///
  /// Names are compared without case, and `_` counts as `-`. One edit is a letter too many, too few, another one, or two neighbours
  /// exchanged (optimal string alignment); a third of the shorter name's letters may be wrong, one in any case. Where nothing is that near, a
  /// name is meant by its beginning, if no other one begins so.
  /// - Parameters:
  ///   - typed: of any length: what is much longer than a name is not compared with it.
  ///   - names: of equally near ones the first is meant.
  package static func nearest(to typed: String, among names: some Sequence<String>) -> String? {
    let wanted = letters(typed)
    guard !wanted.isEmpty else { return nil }
    var best: (name: String, distance: Int)?
    var completions: [String] = []
    for name in names {
      let known = letters(name)
      let limit = max(1, min(wanted.count, known.count) / 3)
      // A single letter is one edit away from every other.
      if abs(wanted.count - known.count) <= limit, max(wanted.count, known.count) > 1 || wanted == known {
        let distance = edits(from: wanted, to: known)
        if distance <= limit, distance < best?.distance ?? .max { best = (name, distance) }
      }
      if wanted.count >= 2, known.starts(with: wanted) { completions.append(name) }
    }
    return best?.name ?? (completions.count == 1 ? completions[0] : nil)
  }

  /// The end of a message about a name that is not known: whether the nearest one was meant, and what there is.
  /// - Parameter known: the sentence that lists the names.
  package static func remedy(for typed: String, among names: some Sequence<String>, known: String) -> String {
    nearest(to: typed, among: names).map { "did you mean '\($0)'? \(known)" } ?? known
  }

  private static func letters(_ name: String) -> [UInt8] {
    name.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
      case UInt8(ascii: "_"): UInt8(ascii: "-")
      default: byte
      }
    }
  }

  /// The optimal string alignment distance: three rows of the usual table.
  private static func edits(from first: [UInt8], to second: [UInt8]) -> Int {
    var before: [Int] = []
    var last = Array(0...second.count)
    for (row, letter) in first.enumerated() {
      var current = [row + 1]
      for (column, other) in second.enumerated() {
        var least = min(last[column + 1] + 1, current[column] + 1, last[column] + (letter == other ? 0 : 1))
        if row > 0, column > 0, letter == second[column - 1], first[row - 1] == other { least = min(least, before[column - 1] + 1) }
        current.append(least)
      }
      (before, last) = (last, current)
    }
    return last[second.count]
  }
}
