import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// The scale and zero point of every group of a weight matrix `[rows, columns]`: the grid its weights are rounded to.
///
/// Row-major, `groups` to a row, the last group of a row shorter where the group size does not divide the columns. A weight is
/// `(code − zeroPoint) · scale`; scales hold exactly the values that will be stored, so codes found on a table are codes for what runs.
struct GridTable: Sendable {
  let scheme: QuantizationScheme
  let rows: Int
  let columns: Int
  /// What the scales are stored as: float32, float16 or bfloat16.
  let scaleType: DataType
  /// `[rows · groups]`, rounded to `scaleType`, never 0.
  var scales: [Float]
  /// `[rows · groups]`, within the range of codes; zeros when the scheme is symmetric.
  var zeroPoints: [Int8]

  /// A table of known scales, its zero points 0.
  init(scheme: QuantizationScheme, rows: Int, columns: Int, scaleType: DataType, scales: [Float]) {
    (self.scheme, self.rows, self.columns, self.scaleType, self.scales) = (scheme, rows, columns, scaleType, scales)
    zeroPoints = Array(repeating: 0, count: scales.count)
  }

  var groupSize: Int { scheme.granularity.groupSize(inputs: columns) }
  /// The values that ranks stand for, in units of the scale; nil for evenly spaced codes.
  var levels: UnsafePointer<Float>? { scheme.levels.ascending?.values }
  /// Groups to a row.
  var groups: Int { QuantizedTensor.groupCount(inputs: columns, scheme.granularity) }

  /// A table by a rule over each group's extremes; needs no search.
  ///
  /// - Parameters:
  ///   - name: the weight's name, for errors.
  ///   - scaleType: nil for the weight's own type (float32 for float64).
  init(
    rule: ScaleRule, weight: WeightRows, named name: String, scheme: QuantizationScheme, scaleType: DataType? = nil, pool: ThreadPool
  ) throws(CompressionError) {
    let type = scaleType ?? weight.scaleType
    try self.init(weight, named: name, scheme: scheme, scaleType: type, pool: pool, scratchBytes: 0) { group, _ in
      let grid = GroupGrid(minimum: group.minimum, maximum: group.maximum, scheme: scheme, rule: rule, scaleType: type)
      return (grid.scale, grid.zeroPoint)
    }
  }

  /// A table whose every group has the smallest weighted squared error a search finds; never above what a rule reaches.
  ///
  /// - Parameters:
  ///   - name: the weight's name, for errors.
  ///   - importance: what a squared error weighs, one for each input column, E[x²] as a rule; nil for 1 everywhere. Groups whose columns
  ///     all have 0 are searched as if they had 1.
  ///   - elements: how the importance of a column becomes that of its weights.
  ///   - scaleType: nil for the weight's own type (float32 for float64).
  init(
    searching weight: WeightRows, named name: String, scheme: QuantizationScheme, importance: [Float]? = nil,
    elements: ElementImportance = .column, scaleType: DataType? = nil, pool: ThreadPool
  ) throws(CompressionError) {
    let type = scaleType ?? weight.scaleType
    let columns = weight.columns
    if let importance, importance.count != columns {
      throw CompressionError(name, "has \(columns) inputs but \(importance.count) importances", kind: .badData)
    }
    let size = Int64(scheme.granularity.groupSize(inputs: columns))
    let rowImportance = elements == .imatrix ? columns : 0
    let perGroup = Int(dso_grid_scratch_bytes(size))
    try self.init(
      weight, named: name, scheme: scheme, scaleType: type, pool: pool, scratchBytes: perGroup + rowImportance * 4
    ) { group, scratch in
      let own = (scratch + perGroup).bindMemory(to: Float.self, capacity: rowImportance)
      if elements == .imatrix, group.start == 0 { dso_imatrix_importance(group.row, importance, Int64(columns), own) }
      let grid = importance.withOptionalPointer { column in
        let weighing = elements == .imatrix ? UnsafePointer(own) : column
        return dso_search_grid(
          group.row + group.start, weighing.map { $0 + group.start }, Int64(group.count), Int32(scheme.bits),
          scheme.symmetric ? 1 : 0, type.kernelScaleType, scratch)
      }
      return (grid.scale, Int(grid.zero_point))
    }
  }

  /// - Parameter count: of weights that are not finite.
  static func requireFinite(_ count: Int, named name: String) throws(CompressionError) {
    guard count > 0 else { return }
    throw CompressionError(
      name, "has \(count) weights that are NaN or infinite", remedy: "repair the checkpoint, or --ignore this layer", kind: .badData)
  }

  /// One group of a row as the choosers see it.
  struct Group {
    /// The whole row as float32.
    let row: UnsafePointer<Float>
    let start: Int
    let count: Int
    let minimum: Float
    let maximum: Float
  }

  /// A table of what `choose` says for each group; the groups of a row come in order, with the same scratch memory.
  init(
    _ weight: WeightRows, named name: String, scheme: QuantizationScheme, scaleType: DataType, pool: ThreadPool, scratchBytes: Int,
    choose: (Group, UnsafeMutableRawPointer) -> (scale: Float, zeroPoint: Int)
  ) throws(CompressionError) {
    try scheme.checkEven(named: name)
    let (rows, columns) = (weight.rows, weight.columns)
    let groupSize = scheme.granularity.groupSize(inputs: columns)
    let groups = QuantizedTensor.groupCount(inputs: columns, scheme.granularity)
    var scales = [Float](repeating: 1, count: rows * groups)
    var zeroPoints = [Int8](repeating: 0, count: rows * groups)
    var nonfinite = [Int64](repeating: 0, count: rows)
    // Whole vectors, so that what follows in the scratch memory is aligned as the kernels' own is.
    let rowBytes = (columns * 4 + 63) / 64 * 64
    scales.withUnsafeMutableBufferPointer { scales in
      zeroPoints.withUnsafeMutableBufferPointer { zeroPoints in
        nonfinite.withUnsafeMutableBufferPointer { nonfinite in
          // Every task writes the rows it was given, and only those.
          nonisolated(unsafe) let (scales, zeroPoints, nonfinite) = (scales, zeroPoints, nonfinite)
          pool.run(rows, scratchBytes: rowBytes + scratchBytes) { row, scratch in
            let values = scratch.bindMemory(to: Float.self, capacity: columns)
            weight.read(row: row, into: values)
            for group in 0..<groups {
              let start = group * groupSize
              let count = min(groupSize, columns - start)
              var (minimum, maximum) = (Float(0), Float(0))
              var odd: Int64 = 0
              dso_min_max(values + start, Int64(count), &minimum, &maximum, &odd)
              nonfinite[row] += odd
              let grid = choose(
                Group(row: values, start: start, count: count, minimum: minimum, maximum: maximum), scratch + rowBytes)
              scales[row * groups + group] = grid.scale
              if !scheme.symmetric { zeroPoints[row * groups + group] = Int8(truncatingIfNeeded: grid.zeroPoint) }
            }
          }
        }
      }
    }
    try Self.requireFinite(Int(nonfinite.reduce(0, +)), named: name)
    self.scheme = scheme
    self.rows = rows
    self.columns = columns
    self.scaleType = scaleType
    self.scales = scales
    self.zeroPoints = zeroPoints
  }
}

/// How the importance of an input column becomes the importance of a weight in it.
public enum ElementImportance: String, Codable, Sendable, Hashable, CaseIterable {
  /// As it is: with E[x²] the weighted squared error is the expected squared error of the output, were the inputs uncorrelated.
  case column
  /// Times √(2·mean(w²) + w²), the mean taken over the row: large weights count more (llama.cpp's weighting).
  case imatrix
}

extension [Float]? {
  /// The elements' address during `body`, nil for nil.
  func withOptionalPointer<Result>(_ body: (UnsafePointer<Float>?) -> Result) -> Result {
    switch self {
    case .some(let values): values.withUnsafeBufferPointer { body($0.baseAddress) }
    case .none: body(nil)
    }
  }
}

extension QuantizationTargets {
  /// What passes ask that have no search of their own for types with minima: schemes that a grid of integers describes.
  /// - Parameter allowingBlocks: whether what a ``FreeSearch`` finds is as good a start.
  func requireGrids(for graph: ModelGraph, allowingBlocks: Bool = false) throws(CompressionError) {
    for (id, scheme) in try schemes(for: graph).sorted(by: { $0.key.index < $1.key.index }) {
      if allowingBlocks, FreeSearch(scheme, scaleType: graph[id].scaleType ?? .float32) != nil { continue }
      try scheme.checkEven(named: graph[id].module)
    }
  }
}

extension QuantizationScheme {
  /// What grids ask of a scheme: their codes are evenly spaced.
  func checkEven(named name: String) throws(CompressionError) {
    guard let levels = levels.name else {
      guard offset == .minimum || scales != .direct else { return }
      throw CompressionError(
        name, "is to be \(self.name): this method needs scales of their own for each group, and whole zero points",
        remedy: "use --algorithm gptq, imatrix, mse or rtn for it", kind: .usage)
    }
    throw CompressionError(
      name, "is \(self.name): this method needs evenly spaced codes, \(levels) has a table of levels",
      remedy: self.levels == .normalFloat4
        ? "start from the weights before they were \(levels), or use the pass \(NormalFloat.identifier) by itself"
        : "use --algorithm \(self.levels.takesFeedback ? "gptq, " : "")imatrix, mse or rtn for it", kind: .usage)
  }
}

extension DataType {
  /// The type a kernel rounds scales to; float32 for all but the two narrow ones.
  var kernelScaleType: dso_scale_type {
    switch self {
    case .float16: DSO_SCALE_F16
    case .bfloat16: DSO_SCALE_BF16
    default: DSO_SCALE_F32
    }
  }
}
