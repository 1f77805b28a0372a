import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// The factors that one adapter starts from, and what becomes of the weight beside them.
struct LowRankStart {
  /// A `[rank, inputs]`.
  let down: Matrix
  /// B `[outputs, rank]`.
  let up: Matrix
  /// What takes the weight's place; nil to leave it.
  var weight: Weight?
  /// The same before it was stored, of a principal start.
  private(set) var residual: Matrix?
  /// ‖W − Q − γ·B·A‖ / ‖W‖ where W was quantized; 0 elsewhere.
  var error = 0.0

  /// How many times LoftQ quantizes.
  static let rounds = 5

  /// A drawn evenly within ±1/√inputs, B zero.
  init(rank: Int, outputs: Int, inputs: Int, seed: UInt64) {
    down = Matrix(rows: rank, columns: inputs)
    up = Matrix(rows: outputs, columns: rank)
    for part in 0..<rank { draw(part, seed: seed) }
  }

  /// The principal part of a weight, which the weight is left without (PiSSA, Meng et al. 2024).
  init(principalPartOf weight: Matrix, named name: String, rank: Int, scaling: Float, seed: UInt64, pool: ThreadPool) throws {
    try self.init(leading: weight, named: name, rank: rank, scaling: scaling, seed: seed, pool: pool)
    let residual = weight.copy(rows: 0..<weight.rows)
    subtract(from: residual, scaling: scaling, pool: pool)
    self.residual = residual
    self.weight = .dense(residual.tensor([weight.rows, weight.columns]))
  }

  /// Factors and codes that take turns at making up for each other's error, from B·A = 0 on; the best round is kept (LoftQ, Li et al.
  /// 2023).
  ///
  /// - Parameter quantize: codes of a matrix of the weight's shape; nil where the weight is not to be quantized.
  /// - Returns: nil where `quantize` gave nil.
  static func quantizing(
    _ weight: Matrix, named name: String, rank: Int, scaling: Float, seed: UInt64, rounds: Int = rounds, pool: ThreadPool,
    by quantize: (Matrix) throws -> QuantizedTensor?
  ) throws -> LowRankStart? {
    let norm = weight.squaredNorm.squareRoot()
    var (best, last): (LowRankStart?, LowRankStart?)
    for _ in 0..<max(1, rounds) {
      try Interruption.check()
      let target = weight.copy(rows: 0..<weight.rows)
      last?.subtract(from: target, scaling: scaling, pool: pool)
      guard let codes = try quantize(target) else { return nil }
      let rest = difference(weight, codes, pool: pool)
      var start = try LowRankStart(leading: rest, named: name, rank: rank, scaling: scaling, seed: seed, pool: pool)
      start.weight = .quantized(codes)
      start.subtract(from: rest, scaling: scaling, pool: pool)
      start.error = norm > 0 ? rest.squaredNorm.squareRoot() / norm : 0
      if !(start.error >= best?.error ?? .infinity) { best = start }
      last = start
      // Nothing is left to make up for.
      if start.error == 0 { break }
    }
    return best
  }

  /// γ·B·A is the leading part of a matrix, its singular values shared evenly by the two. Where there are none, in a matrix of lower rank,
  /// A is drawn: with both factors at zero nothing would ever be learned.
  private init(leading matrix: Matrix, named name: String, rank: Int, scaling: Float, seed: UInt64, pool: ThreadPool) throws {
    let found = try TruncatedSVD(
      matrix, named: name, rank: rank, seed: SeededRandom.value(seed: seed, index: .max), pool: pool)
    (down, up) = (found.right, found.left)
    // Float32 knows no smaller ones.
    let floor = (found.singularValues.first ?? 0) * 1e-6
    let factors = found.singularValues.map { $0 > floor ? Float(($0 / Double(scaling)).squareRoot()) : 0 }
    for row in 0..<up.rows { dso_scale_elements(up.row(row), factors, 1, Int64(rank)) }
    for part in 0..<rank {
      dso_scaled_copy(down.row(part), factors[part], down.row(part), Int64(down.columns))
      if factors[part] == 0 { draw(part, seed: seed) }
    }
  }

  private func draw(_ part: Int, seed: UInt64) {
    let bound = 1 / Double(down.columns).squareRoot()
    for column in 0..<down.columns {
      let bits = SeededRandom.value(seed: seed, index: UInt64(part * down.columns + column))
      down.row(part)[column] = Float((2 * (Double(bits >> 11) * 0x1p-53) - 1) * bound)
    }
  }

  /// Takes γ·B·A, of the factors as they are stored, off a matrix.
  private func subtract(from matrix: Matrix, scaling: Float, pool: ThreadPool) {
    matrix.addProduct(up.scaled(by: -scaling), down, pool: pool)
  }

  /// `weight − codes`.
  private static func difference(_ weight: Matrix, _ codes: QuantizedTensor, pool: ThreadPool) -> Matrix {
    let result = Matrix(rows: weight.rows, columns: weight.columns)
    codes.withKernelView { view in
      let columns = Int64(weight.columns)
      pool.ranges(of: weight.rows, grain: 16) { rows in
        var view = view
        let (target, count) = (result.row(rows.lowerBound), Int64(rows.count) * columns)
        dso_dequantize(&view, Int64(rows.lowerBound), Int64(rows.upperBound), target, columns)
        dso_scaled_copy(target, -1, target, count)
        dso_add(weight.row(rows.lowerBound), target, count)
      }
    }
    return result
  }
}
