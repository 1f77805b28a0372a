import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Round-to-nearest quantization: scales from each group's extremes, every weight to its nearest code. Needs no data.
public struct RoundToNearest: CompressionPass {
  public static let identifier = "round-to-nearest"
  public static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])

  public var targets = QuantizationTargets()
  public var scaleRule = ScaleRule.signedAbsmax

  public init() {}

  /// A symmetric or asymmetric pass over all linears.
  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 0) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
  }

  private enum CodingKeys: String, CodingKey { case scaleRule = "scale-rule" }

  // The targets' options stand beside the pass's own, so that a recipe reads `round-to-nearest: {bits: 4, group-size: 128}`.
  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    scaleRule = try decoder.container(keyedBy: CodingKeys.self).decode(ScaleRule.self, forKey: .scaleRule)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(scaleRule, forKey: .scaleRule)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    _ = try targets.schemes(for: graph)
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    Worker(pass: self, schemes: try targets.schemes(for: graph))
  }

  private struct Worker: BlockPass {
    let pass: RoundToNearest
    let schemes: [ParameterID: QuantizationScheme]
    var record = PassRecord(pass: RoundToNearest.identifier)

    var plan: [ParameterID: WeightStorage] { schemes.mapValues(WeightStorage.quantized) }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      for (node, id) in graph.linears(of: block) {
        guard let scheme = schemes[id], case .dense(let weight) = try graph[id].load() else { continue }
        let result = try RowQuantizer(scheme: scheme, rule: pass.scaleRule)
          .quantize(weight, named: graph[id].name, pool: context.pool)
        record.layers.append(
          PassRecord.Layer(
            module: node.scope, scheme: scheme, weights: weight.shape.elementCount, clipped: result.clipped, fallback: nil))
        try graph.replace(id, with: .quantized(result.tensor))
      }
    }
  }
}

/// Quantizes the rows of a matrix independently of each other, in parallel.
struct RowQuantizer {
  let scheme: QuantizationScheme
  let rule: ScaleRule

  /// - Returns: the quantized matrix, scales stored in the weight's own type (float32 for float64), and how many weights were clipped.
  func quantize(_ weight: Tensor, named name: String, pool: ThreadPool) throws -> (tensor: QuantizedTensor, clipped: Int) {
    let (rows, columns) = (weight.shape[0], weight.shape[1])
    let scaleType = weight.dataType == .float64 ? DataType.float32 : weight.dataType
    let groupSize = scheme.granularity.groupSize(inputs: columns)
    let groups = QuantizedTensor.groupCount(inputs: columns, scheme.granularity)
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
    var tallies = [(clipped: Int64, nonfinite: Int64)](repeating: (0, 0), count: rows)
    var scales = [Float](repeating: 0, count: rows * groups)
    var zeroPoints = [Int8](repeating: 0, count: scheme.symmetric ? 0 : rows * groups)
    let codes = Tensor(dataType: .int32, shape: [rows, words]) { packed in
      weight.withUnsafeBytes { bytes in
        tallies.withUnsafeMutableBufferPointer { tallies in
          scales.withUnsafeMutableBufferPointer { scales in
            zeroPoints.withUnsafeMutableBufferPointer { zeroPoints in
              // Every task writes the rows it was given, and only those.
              nonisolated(unsafe) let (packed, tallies, scales, zeroPoints) = (packed, tallies, scales, zeroPoints)
              let rowBytes = bytes.count / max(1, rows)
              pool.run(rows, scratchBytes: columns * 5 + 64) { row, scratch in
                let values = scratch.bindMemory(to: Float.self, capacity: columns)
                let rowCodes = (scratch + columns * 4).bindMemory(to: UInt8.self, capacity: columns)
                convertToFloat32(
                  UnsafeRawBufferPointer(rebasing: bytes[row * rowBytes..<(row + 1) * rowBytes]), weight.dataType,
                  into: values, count: columns)
                for group in 0..<groups {
                  let start = group * groupSize
                  let count = Int64(min(groupSize, columns - start))
                  var (minimum, maximum) = (Float(0), Float(0))
                  var nonfinite: Int64 = 0
                  dso_min_max(values + start, count, &minimum, &maximum, &nonfinite)
                  tallies[row].nonfinite += nonfinite
                  let grid = GroupGrid(
                    minimum: minimum, maximum: maximum, scheme: scheme, rule: rule, scaleType: scaleType)
                  scales[row * groups + group] = grid.scale
                  if !scheme.symmetric { zeroPoints[row * groups + group] = Int8(truncatingIfNeeded: grid.zeroPoint) }
                  tallies[row].clipped += dso_quantize_group(
                    values + start, count, grid.scale, Int32(grid.zeroPoint), Int32(scheme.bits), rowCodes + start)
                }
                if let target = packed.baseAddress {
                  dso_pack_codes(
                    rowCodes, Int64(columns), Int32(scheme.bits),
                    (target + row * words * 4).assumingMemoryBound(to: UInt32.self))
                }
              }
            }
          }
        }
      }
    }
    let nonfinite = tallies.reduce(0) { $0 + $1.nonfinite }
    guard nonfinite == 0 else {
      throw CompressionError(
        name, "has \(nonfinite) weights that are NaN or infinite", remedy: "repair the checkpoint, or --ignore this layer",
        kind: .badData)
    }
    let parts = Shape([rows, groups])
    guard let scaleTensor = Tensor(scales, shape: parts).converted(to: scaleType),
      let tensor = QuantizedTensor(
        scheme: scheme, shape: weight.shape, codes: codes, scales: scaleTensor,
        zeroPoints: scheme.symmetric ? nil : Tensor(int8: zeroPoints, shape: parts))
    else { throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage) }
    return (tensor, Int(tallies.reduce(0) { $0 + $1.clipped }))
  }
}
