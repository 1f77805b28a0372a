import Diagnostics
import Execution
import Tensors

/// How fast this machine does what a run is made of, measured on values that mean nothing, in a few hundredths of a second each.
package struct QuantizerRates {
  private let context: PassContext

  package init(interpreter: Interpreter) { context = PassContext(interpreter: interpreter) }

  /// Seconds that one run of the work takes, the fastest of three after one that warms up.
  private static func seconds(_ work: () throws -> Void) rethrows -> Double {
    try work()
    let clock = ContinuousClock()
    let times = try (0..<3).map { _ in try clock.measure(work).seconds }
    return max(1e-9, times.min() ?? 0)
  }

  /// Weights a second that a pass quantizes.
  package func quantizing(_ weight: Tensor, by pass: any LayerwiseQuantization, as scheme: QuantizationScheme) throws -> Double {
    let type: DataType = weight.dataType == .float64 ? .float32 : weight.dataType
    let seconds = try Self.seconds {
      _ = try pass.quantize(weight, named: "probe", as: scheme, scaleType: type, in: context)
    }
    return Double(weight.shape.elementCount) / seconds
  }

  /// What rounding with error feedback is made of, in operations a second.
  package struct Feedback {
    /// Sums of outer products of inputs: width² for a token.
    package var gram: Double
    /// Factorizations: width³ / 3 each.
    package var factor: Double
    /// Feedback: outputs · width².
    package var rounding: Double
    /// Weights a second whose scales are searched.
    package var search: Double
  }

  package func feedback(of pass: GPTQ, as scheme: QuantizationScheme) throws -> Feedback {
    let (width, tokens, outputs) = (512, 512, 128)
    let inputs = Self.matrix(rows: tokens, columns: width)
    let weight = WeightRows.matrix(Self.matrix(rows: outputs, columns: width))
    var probed = scheme
    if case .group(let size) = scheme.granularity, width % size != 0 { probed.granularity = .channel }
    let gram = GramMatrix(inputs: width)
    let summing = try Self.seconds { try gram.accumulate(inputs, pool: context.pool) }
    let clock = ContinuousClock()
    let taken = gram.copy()
    let start = clock.now
    let factor = try FeedbackFactor(
      of: taken, named: "probe", options: .init(actOrder: pass.actOrder, damping: pass.damping), pool: context.pool)
    let factoring = max(1e-9, (clock.now - start).seconds)
    var grids = try GridTable(searching: weight, named: "probe", scheme: probed, scaleType: .float32, pool: context.pool)
    let searching = try Self.seconds {
      grids = try GridTable(searching: weight, named: "probe", scheme: probed, scaleType: .float32, pool: context.pool)
    }
    let rounding = try Self.seconds {
      _ = try ErrorFeedback().quantize(weight, named: "probe", grids: grids, factor: factor, pool: context.pool)
    }
    let (n, t, o) = (Double(width), Double(tokens), Double(outputs))
    return Feedback(
      gram: n * n * t / summing, factor: n * n * n / 3 / factoring, rounding: o * n * n / rounding, search: o * n / searching)
  }

  /// Float operations a second of products with this weight, two for a weight and a row.
  package func products(_ weight: Weight, rows: Int) throws -> Double {
    let input = Self.matrix(rows: rows, columns: weight.shape[1])
    let seconds = try Self.seconds { _ = try context.interpreter.product(input, weight) }
    return 2 * Double(rows) * Double(weight.shape.elementCount) / seconds
  }

  /// Values of no meaning, and of no order that a kernel could gain from.
  package static func matrix(rows: Int, columns: Int) -> Matrix {
    let matrix = Matrix(rows: rows, columns: columns)
    var random = SeededRandom(seed: 1)
    for index in 0..<rows * columns { matrix.pointer[index] = Float(random.nextUnit() - 0.5) }
    return matrix
  }
}
