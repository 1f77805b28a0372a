/// Which scalars a case-insensitive expression takes for one another (one for one; `ss` for `ß` is not covered).
enum CaseFolding {
  /// Groups of scalars with the same folding, each with at least two members.
  private static let groups: [[UInt32]] = {
    var byFolding: [UInt32: [UInt32]] = [:]
    let cased = CharacterProperties.category("L").union(CharacterProperties.category("Nl")).union(CharacterProperties.category("So"))
      .union(ScalarSet(0x345))
    for range in cased.ranges {
      // The dotless i has the upper case of the dotted one, and yet folds to itself.
      for value in range where value != 0x131 {
        guard let scalar = Unicode.Scalar(value) else { continue }
        byFolding[folding(scalar), default: []].append(value)
      }
    }
    return byFolding.values.filter { $0.count > 1 }
  }()

  /// The lower case of the upper case, where both are single scalars: joins `k`, `K` and the Kelvin sign.
  private static func folding(_ scalar: Unicode.Scalar) -> UInt32 {
    let upper = single(scalar.properties.uppercaseMapping) ?? scalar
    return (single(upper.properties.lowercaseMapping) ?? upper).value
  }

  private static func single(_ text: String) -> Unicode.Scalar? {
    text.unicodeScalars.count == 1 ? text.unicodeScalars.first : nil
  }

  private static let groupOf: [UInt32: Int] = {
    var result: [UInt32: Int] = [:]
    for (index, group) in groups.enumerated() { for scalar in group { result[scalar] = index } }
    return result
  }()

  /// The set with everything that folds like a member of it.
  static func closure(_ set: ScalarSet) -> ScalarSet {
    if set == ScalarSet.all { return set }
    if set.ranges.count == 1, let range = set.ranges.first, range.count == 1 {
      guard let group = groupOf[range.lowerBound] else { return set }
      return ScalarSet(merging: groups[group].map { $0...$0 })
    }
    var ranges = set.ranges
    for group in groups where group.contains(where: { set.contains($0) }) { ranges += group.map { $0...$0 } }
    return ScalarSet(merging: ranges)
  }
}
