import Compression
import Diagnostics
import Evaluation
import Execution
import Foundation
import ModelGraph
import Tensors

/// What a plan's time is computed from, measured by the kernels that the run will use on layers of the shapes and schemes that it has.
struct PlannedRates {
  /// Weights a second; nil where nothing is quantized by a pass that works so.
  private(set) var quantizing: Double?
  /// FP8 weights a second that are decoded; nil where there are none.
  private(set) var decoding: Double?
  /// Bytes a second.
  let digest: Double
  /// Weights a second that are compared with what they were.
  private(set) var comparing: Double?
  /// Operations a second of products with the source's weights, and with the output's.
  private(set) var products = 0.0
  private(set) var quantizedProducts: Double?
  private(set) var feedback: QuantizerRates.Feedback?

  /// Weights of the layer that rates are measured on.
  private static let weights = 1 << 20
  private static let rows = 128

  init(_ work: PlannedWork) throws {
    let rates = QuantizerRates(interpreter: work.run.interpreter)
    let bytes = [UInt8](repeating: 7, count: 4 << 20)
    digest =
      Double(bytes.count)
      / Self.seconds {
        var digest = ContentDigest()
        bytes.withUnsafeBytes { digest.update($0) }
        _ = digest.hexadecimal()
      }
    // The scheme and the width that most weights have.
    var kinds: [Kind: Int] = [:]
    for layer in work.layers where layer.shape.rank == 2 {
      guard case .quantized(let scheme) = layer.storage else { continue }
      kinds[Kind(scheme: scheme, columns: layer.shape[1], isCoded: layer.isCoded), default: 0] +=
        layer.shape.elementCount
    }
    let kind = kinds.max { ($0.value, $0.key.columns) < ($1.value, $1.key.columns) }?.key
    let columns = kind?.columns ?? 1024
    let rowCount = max(8, Self.weights / max(1, columns))
    let values = QuantizerRates.matrix(rows: rowCount, columns: columns).tensor([rowCount, columns])
    guard let weight = values.converted(to: .bfloat16) else { return }
    if work.coded.all > 0 {
      let codes = Tensor(dataType: .float8E4M3, shape: weight.shape) { target in
        for index in target.indices { target[index] = UInt8(truncatingIfNeeded: index % 120) }
      }
      let scales = [Float](repeating: 0.5, count: (rowCount + 127) / 128 * ((columns + 127) / 128))
      decoding =
        Double(weight.shape.elementCount) / Self.seconds { _ = codes.dequantizedE4M3(scales: scales, block: (128, 128), to: .bfloat16) }
    }
    if work.evaluated != nil || work.run.recipe.isCalibrated { products = try rates.products(.dense(weight), rows: Self.rows) }
    guard let kind else { return }
    let layerwise = work.run.recipe.passes.lazy.compactMap { $0 as? any LayerwiseQuantization }.first
    if let layerwise { quantizing = try rates.quantizing(weight, by: layerwise, as: kind.scheme) }
    if let pass = work.feedback { feedback = try rates.feedback(of: pass, as: kind.scheme) }
    // Products and comparisons take as long whatever the codes stand for.
    var scheme = kind.scheme
    (scheme.levels, scheme.activations) = (.even, .none)
    let context = PassContext(interpreter: work.run.interpreter)
    let quantized = try RoundToNearest().quantize(weight, named: "probe", as: scheme, scaleType: .bfloat16, in: context).tensor
    if work.evaluated != nil {
      quantizedProducts = try rates.products(.quantized(quantized), rows: Self.rows)
    }
    comparing =
      Double(weight.shape.elementCount)
      / Self.seconds { _ = LayerErrorMeter.squaredError(of: quantized, against: weight, pool: work.run.interpreter.pool) }
  }

  private struct Kind: Hashable {
    let scheme: QuantizationScheme
    let columns: Int
    let isCoded: Bool
  }

  private static func seconds(_ work: () -> Void) -> Double {
    work()
    // What else the machine does takes from some of the runs: the fastest of four counts.
    let times = (0..<4).map { _ in ContinuousClock().measure(work).seconds }
    return max(1e-9, times.min() ?? 0)
  }
}
