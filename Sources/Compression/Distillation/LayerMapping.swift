import Diagnostics
import ModelGraph

/// Which blocks of a teacher the blocks of a student are aligned with.
package struct LayerMapping {
  /// Places of blocks in their graphs, in the order of the student's.
  package let pairs: [(student: Int, teacher: Int)]

  /// The most layers that are looked at.
  private static let most = 4

  /// - Parameter layers: the teacher's layer for each of the student's; nil to spread them evenly: what the l-th of S leaves is held against what
  ///   round(l · T / S) of T leave.
  package init(from student: ModelGraph, to teacher: ModelGraph, layers: [Int]? = nil) throws(CompressionError) {
    let (own, others) = (student.layerBlocks, teacher.layerBlocks)
    guard !own.isEmpty, !others.isEmpty else {
      throw CompressionError("features", "cannot be aligned: a model has no layers", kind: .usage)
    }
    let targets =
      layers
      ?? own.indices.map { max(0, Int((Double($0 + 1) * Double(others.count) / Double(own.count)).rounded()) - 1) }
    guard targets.count == own.count, targets.allSatisfy(others.indices.contains) else {
      throw CompressionError(
        "\(Distillation.identifier): layers", "\(targets) are not layers of the teacher, which has \(others.count)",
        remedy: "name one from 0 to \(others.count - 1) for each layer of the student", kind: .usage)
    }
    // Evenly, the last one always.
    let count = min(Self.most, own.count)
    pairs = (1...count).map { place in
      let layer = place * own.count / count - 1
      return (own[layer], others[targets[layer]])
    }
  }
}
