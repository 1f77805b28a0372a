import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

extension FoldableInput {
  /// Divides every channel by its factor in the producer and multiplies the readers' columns, and lets statistics and sensitivities follow.
  ///
  /// Weights become float32 in memory. A gain or a bias is rounded to its stored type at once; rows and readers then take the factor that
  /// the rounded value stands for, so that nothing of the function is lost to it.
  /// - Parameter factors: one a channel, finite and above 0.
  func fold(_ factors: [Float], into graph: inout ModelGraph, in context: PassContext) throws {
    guard factors.count == channels, factors.allSatisfy({ $0.isFinite && $0 > 0 && (1 / $0).isFinite }) else {
      throw CompressionError(readers.first?.node.scope ?? "input", "cannot be divided by these factors", kind: .badData)
    }
    var factors = factors
    switch producer {
    case .gain(let gain): factors = try Self.divide(gain, by: factors, in: &graph)
    case .rows(let weight, let bias, _):
      // The bias settles the factors, for it is rounded and the rows are not.
      if let bias { factors = try Self.divide(bias, by: factors, in: &graph) }
      try Self.scale(weight, rows: factors.map { 1 / $0 }, columns: nil, in: &graph, pool: context.pool)
      context.calibration?.sensitivity?.scaleFactor(of: weight, by: factors)
    }
    let columns = channel.map { factors[$0] }
    for (_, weight) in readers { try Self.scale(weight, rows: nil, columns: columns, in: &graph, pool: context.pool) }
    try context.calibration?.follow(value, dividedBy: columns, in: graph, pool: context.pool)
  }

  /// Layers whose weights, inputs or outputs are no longer what the checkpoint's are.
  var changedModules: [String] {
    if case .rows(_, _, let scope) = producer { return readers.map(\.node.scope) + [scope] }
    return readers.map(\.node.scope)
  }

  /// Divides a vector and rounds it to its stored type.
  /// - Returns: the factors that the rounded values stand for; as they were where a value is 0.
  private static func divide(_ id: ParameterID, by factors: [Float], in graph: inout ModelGraph) throws -> [Float] {
    guard case .dense(let tensor) = try graph[id].load(), let values = tensor.float32Values(), values.count == factors.count else {
      throw CompressionError(graph[id].name, "does not fit its \(factors.count) factors", kind: .badData)
    }
    let type = graph[id].valueType ?? .float32
    var (results, exact) = (values, factors)
    for index in values.indices {
      let divided = type.rounding(values[index] / factors[index])
      let factor = values[index] / divided
      // Beyond the type's range, or 0: the value stays, and so does the weight.
      if divided.isFinite, factor.isFinite, factor > 0, (1 / factor).isFinite {
        (results[index], exact[index]) = (divided, factor)
      } else {
        exact[index] = values[index] == 0 ? factors[index] : 1
      }
    }
    guard let stored = Tensor(results, shape: tensor.shape).converted(to: type) else {
      throw CompressionError(graph[id].name, "cannot be stored as \(type.rawValue)", kind: .badData)
    }
    try graph.replace(id, with: .dense(stored))
    return exact
  }

  /// Multiplies rows and columns of a matrix, in float32.
  private static func scale(
    _ id: ParameterID, rows: [Float]?, columns: [Float]?, in graph: inout ModelGraph, pool: ThreadPool
  ) throws {
    guard case .dense(let tensor) = try graph[id].load(), tensor.shape.rank == 2 else {
      throw CompressionError(graph[id].name, "is not a dense matrix", kind: .badData)
    }
    let source = WeightRows.tensor(tensor)
    let (height, width) = (source.rows, source.columns)
    let factors = columns ?? [Float](repeating: 1, count: width)
    guard factors.count == width, rows.map({ $0.count == height }) ?? true else {
      throw CompressionError(graph[id].name, "of \(tensor.shape) does not fit its factors", kind: .badData)
    }
    let result = Tensor(dataType: .float32, shape: tensor.shape) { bytes in
      guard let target = bytes.bindMemory(to: Float.self).baseAddress else { return }
      nonisolated(unsafe) let output = target
      pool.ranges(of: height, grain: 16) { range in
        for row in range {
          source.read(row: row, into: output + row * width)
          dso_scale_elements(output + row * width, factors, rows?[row] ?? 1, Int64(width))
        }
      }
    }
    try graph.replace(id, with: .dense(result))
  }
}

/// What is known of a matrix's columns.
struct ColumnMagnitudes {
  /// The largest magnitude, and the sum of magnitudes.
  private(set) var largest: [Float]
  private(set) var sums: [Double]
  private(set) var rows = 0

  init(columns: Int) {
    largest = Array(repeating: 0, count: columns)
    sums = Array(repeating: 0, count: columns)
  }

  /// Adds the rows of a weight.
  mutating func add(_ weight: WeightRows) {
    guard weight.columns == largest.count else { return }
    let scratch = Matrix(rows: 1, columns: weight.columns)
    for row in 0..<weight.rows {
      weight.read(row: row, into: scratch.pointer)
      dso_column_statistics(scratch.pointer, Int64(weight.columns), 1, Int64(weight.columns), &largest, &sums, nil)
    }
    rows += weight.rows
  }
}
