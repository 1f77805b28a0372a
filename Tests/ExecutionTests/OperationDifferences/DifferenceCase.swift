import Execution
import ModelGraph
import Tensors
import Testing

/// A layer of one or a few operations, and how its gradients are held to differences.
struct DifferenceCase: Sendable, CustomTestStringConvertible {
  /// The operation it is there for.
  let checks: OperationKind
  let name: String
  /// Features that enter the layer.
  var width = 17
  /// Rows of each sequence of the batch, and where each starts.
  var lengths = [4, 1, 3]
  var positions: [Int]?
  /// Inputs are in ±size.
  var size = 1.0
  /// How the embedding's table is stored.
  var table = StoredForm.dense(.float32)
  /// Of the layer named "layer".
  var adapter: (rank: Int, scaling: Float, magnitude: Bool)?
  /// Whether all parameters stand in matrices of the caller, as trained ones do.
  var isOverridden = false
  var products = ProductPrecision.float32
  var step = 1e-5
  /// 1 to move every element; large examples move a part of what has more than 200.
  var every = 1
  /// The largest difference of an output and of a gradient, in units of the largest element.
  var tolerance = 5e-6
  /// Whether some of the gradients are 0, or next to it, by definition: they are then compared in units of 0.1.
  var vanishes = false
  var layer: @Sendable (inout TinyGraph, ValueID) throws -> ValueID = { graph, x in try graph.linear(x, "layer", outputs: 5) }

  var testDescription: String { "\(checks.rawValue): \(name)" }

  func graph() throws -> ModelGraph {
    var tiny = TinyGraph(vocabulary: 9)
    let output = try layer(&tiny, try tiny.embedding(width: width, as: table))
    tiny.endLayer()
    let logits = try tiny.head(output)
    var graph = try tiny.finish(logits)
    if let adapter {
      try graph.attachSample(to: "layer", rank: adapter.rank, scaling: adapter.scaling, magnitude: adapter.magnitude)
    }
    return graph
  }
}

/// The largest difference in units of the largest expected element, or of `floor` where all are smaller; infinite when one is no number.
func relativeError(_ found: Matrix, _ expected: [Int: Double], floor: Double = 0) -> Double {
  if expected.isEmpty { return found.rows * found.columns == 0 ? 0 : .infinity }
  let differences = expected.map { index, value in
    index < found.rows * found.columns ? abs(Double(found.pointer[index]) - value) : .infinity
  }
  guard differences.allSatisfy(\.isFinite), let largest = differences.max() else { return .infinity }
  return largest == 0 ? 0 : largest / max(largestMagnitude(expected), floor)
}

func relativeError(_ found: Matrix, _ expected: Grid) -> Double {
  guard found.rows == expected.rows, found.columns == expected.columns else { return .infinity }
  return relativeError(found, Dictionary(uniqueKeysWithValues: expected.values.enumerated().map { ($0, $1) }))
}

func largestMagnitude(_ values: [Int: Double]) -> Double { values.values.map(abs).max() ?? 0 }

func sampleMatrix(rows: Int, columns: Int, seed: UInt64, size: Double = 1) -> Matrix {
  let result = Matrix(rows: rows, columns: columns)
  var random = SeededRandom(seed: seed)
  for index in 0..<rows * columns { result.pointer[index] = Float(size * (random.nextUnit() * 2 - 1)) }
  return result
}
