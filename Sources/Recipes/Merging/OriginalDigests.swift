import Diagnostics
import Tensors

/// What every weight of a model was before an adapter was merged into it.
public struct OriginalDigests: Sendable {
  private let digests: [TensorName: String]

  init(_ digests: [TensorName: String]) { self.digests = digests }

  subscript(name: String) -> String? { digests[TensorName(name)] }

  /// Of all of them together.
  var identity: String {
    var digest = ContentDigest()
    for (name, value) in digests.sorted(by: { $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8) }) {
      digest.update("\(value)  \(name.text)\n")
    }
    return digest.hexadecimal()
  }

  /// Holds weights that were written against them.
  /// - Throws: naming the first that is another, or is not there.
  func check(_ written: [TensorName: String]) throws(RecipeError) {
    let names = Set(digests.keys).union(written.keys).sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
    if let name = names.first(where: { digests[$0] != written[$0] }) { throw Self.mismatch(name.text) }
  }

  static func mismatch(_ name: String) -> RecipeError {
    RecipeError(
      name, "does not come back as it was: the weight or the record was changed since the adapter was merged",
      remedy: "take the checkpoint that the adapter was merged into", kind: .badData)
  }
}
