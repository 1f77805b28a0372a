import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// The search for the factors that one input of linear layers is divided by: tries exponents, rounds a sample of the layers' rows on the
/// scaled weights, and measures what their outputs lose.
struct FactorSearch {
  /// Some rows of a layer that reads the input.
  private struct Sample {
    let name: String
    let weight: Matrix
    let scheme: QuantizationScheme
    let scaleType: DataType?
  }

  private let input: FoldableInput
  private let meanSquare: [Float]
  private let gram: Matrix
  private let steps: Int
  private let pool: ThreadPool
  /// E|x| and mean |w| of each channel.
  private let activation: [Float]
  private var weight: [Float] = []
  private var samples: [Sample] = []

  /// - Parameters:
  ///   - meanMagnitude: E|x| of each input.
  ///   - meanSquare: E[x²].
  ///   - gram: Σ xxᵀ, both triangles.
  init(input: FoldableInput, meanMagnitude: [Float], meanSquare: [Float], gram: Matrix, steps: Int, pool: ThreadPool) {
    self.input = input
    self.meanSquare = meanSquare
    self.gram = gram
    self.steps = steps
    self.pool = pool
    activation = Self.channelMeans(meanMagnitude, of: input)
  }

  /// Takes rows evenly from the layers that will be quantized.
  mutating func sample(_ layers: [(weight: ParameterID, scheme: QuantizationScheme)], outputs: Int, of graph: ModelGraph) throws {
    let total = layers.reduce(0) { $0 + graph[$1.weight].shape[0] }
    let stride = max(1, (total + outputs - 1) / max(1, outputs))
    var magnitudes = ColumnMagnitudes(columns: input.channel.count)
    for (id, scheme) in layers {
      let tensor = try graph.denseWeight(id, of: graph[id].module)
      guard tensor.shape[1] == input.channel.count else {
        throw CompressionError(graph[id].module, "of \(tensor.shape) does not fit its input of \(input.channel.count)", kind: .badData)
      }
      let rows = WeightRows.tensor(tensor)
      magnitudes.add(rows)
      let chosen = Array(Swift.stride(from: 0, to: rows.rows, by: stride))
      let matrix = Matrix(rows: chosen.count, columns: rows.columns)
      for (index, row) in chosen.enumerated() { rows.read(row: row, into: matrix.row(index)) }
      samples.append(
        Sample(name: graph[id].name, weight: matrix, scheme: scheme, scaleType: graph[id].scaleType))
    }
    let count = Double(max(1, magnitudes.rows))
    weight = Self.channelMeans(magnitudes.sums.map { Float($0 / count) }, of: input)
  }

  /// One factor a channel; nil when none is better than none at all.
  func best() throws -> [Float]? {
    guard !samples.isEmpty, gram.columns == input.channel.count else { return nil }
    var best: (error: Double, factors: [Float]?) = (try error([Float](repeating: 1, count: input.channels)), nil)
    guard best.error.isFinite else {
      throw CompressionError(
        samples[0].name, "has weights and activations so large that their error overflows", remedy: "leave it out with --ignore",
        kind: .badData)
    }
    for step in 0..<steps {
      let candidate = factors(exponent: Float(step) / Float(steps))
      let error = try error(candidate)
      if error < best.error { best = (error, candidate) }
    }
    return best.factors
  }

  /// s = E|x|^r / (mean|w|^(1−r) + 1e-4), over the geometric mean of the extremes.
  private func factors(exponent: Float) -> [Float] {
    var factors = zip(activation, weight).map { x, w in pow(max(x, 1e-4), exponent) / (pow(w, 1 - exponent) + 1e-4) }
    let (largest, smallest) = (factors.max() ?? 1, factors.min() ?? 1)
    let norm = (largest * smallest).squareRoot()
    guard norm.isFinite, norm > 0 else { return [Float](repeating: 1, count: factors.count) }
    for index in factors.indices { factors[index] = min(max(factors[index] / norm, 1e-4), 1e4) }
    return factors
  }

  /// tr(ΔW H ΔWᵀ) over the samples.
  private func error(_ factors: [Float]) throws(CompressionError) -> Double {
    let columns = input.channel.map { factors[$0] }
    let inverse = columns.map { 1 / $0 }
    let importance = zip(meanSquare, inverse).map { $0 * $1 * $1 }
    let width = input.channel.count
    var sum = 0.0
    for sample in samples {
      let rows = sample.weight.rows
      let scaled = Matrix(rows: rows, columns: width)
      for row in 0..<rows {
        scaled.row(row).update(from: sample.weight.row(row), count: width)
        dso_scale_elements(scaled.row(row), columns, 1, Int64(width))
      }
      let source = WeightRows.matrix(scaled)
      let quantized = try GridTable(
        searching: source, named: sample.name, scheme: sample.scheme, importance: importance, elements: .imatrix,
        scaleType: sample.scaleType, pool: pool
      ).quantize(source, named: sample.name, pool: pool).tensor.dequantized()
      let difference = Matrix(rows: rows, columns: width)
      quantized.withUnsafeBytes { bytes in
        guard let values = bytes.bindMemory(to: Float.self).baseAddress else { return }
        for row in 0..<rows {
          dso_scaled_difference(values + row * width, inverse, sample.weight.row(row), difference.row(row), Int64(width))
        }
      }
      WorkMeter.add(WorkEstimate.factorTrial(rows: rows, columns: width))
      let product = Matrix(rows: rows, columns: width)
      OuterProducts.accumulate(
        dso_outer_product(
          x: difference.pointer, ldx: Int64(width), x_by_rows: 1, y: gram.pointer, ldy: Int64(width), depth: Int64(width), weights: nil,
          c: product.pointer, ldc: Int64(width), lower: 0),
        rows: rows, columns: width, pool: pool)
      sum += dso_inner_product(difference.pointer, product.pointer, Int64(rows * width))
    }
    return sum
  }

  /// The mean over the features that share a channel.
  private static func channelMeans(_ values: [Float], of input: FoldableInput) -> [Float] {
    var sums = [Float](repeating: 0, count: input.channels)
    var counts = sums
    for (feature, channel) in input.channel.enumerated() where feature < values.count {
      sums[channel] += values[feature]
      counts[channel] += 1
    }
    return zip(sums, counts).map { $1 > 0 ? $0 / $1 : 0 }
  }
}
