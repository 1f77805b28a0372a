import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// NormalFloat quantization (Dettmers et al. 2023, QLoRA): four-bit codes of levels that are quantiles of a normal
/// distribution, times the largest magnitude of each group as a float32 scale. Needs no data.
///
/// Codes and scales are those of bitsandbytes' `quantize_4bit` without double quantization, to the bit. There blocks run through the whole
/// weight; here groups begin anew in each row, which is the same where the group size divides the rows. Where it does not, the weight is
/// refused as by every pass, for a block that spans two rows has no scale of a group.
///
/// No layout of compressed-tensors holds such codes: `--format safetensors` writes the values they stand for.
public struct NormalFloat: LayerwiseQuantization {
  public static let identifier = "nf4"

  /// Weights that share a scale along the input axis; 0 for one scale per output channel.
  public var groupSize = 64
  public var mixedPrecision = QuantizationTargets.MixedPrecision.off
  /// Group sizes of some modules, and the head where it is to be quantized too; bits are left as they are, or 4. Later ones win.
  public var overrides: [QuantizationTargets.Override] = []
  /// Modules that stay as they are.
  public var ignore: [ModulePattern] = []

  private enum CodingKeys: String, CodingKey {
    case overrides, ignore
    case groupSize = "group-size"
    case mixedPrecision = "mixed-precision"
  }

  public init() {}

  /// A pass over all linears but the head.
  public init(groupSize: Int) { self.groupSize = groupSize }

  /// The options as those of any quantization.
  public var targets: QuantizationTargets {
    var targets = QuantizationTargets()
    targets.bits = 4
    targets.groupSize = groupSize
    targets.mixedPrecision = mixedPrecision
    targets.overrides = overrides
    targets.ignore = ignore
    return targets
  }

  public func schemes(for graph: ModelGraph) throws(CompressionError) -> [ParameterID: QuantizationScheme] {
    for override in overrides where override.bits >= 0 && override.bits != 4 {
      throw CompressionError(
        override.pattern.text, "cannot have \(override.bits) bits: NF4 has 4", remedy: "override the group size only, or ignore the module",
        kind: .usage)
    }
    return try targets.schemes(for: graph).mapValues { scheme in
      var scheme = scheme
      scheme.levels = .normalFloat4
      return scheme
    }
  }

  /// - Parameter scaleType: passed over; scales are float32, as what is compared with bitsandbytes has to have them.
  public func quantize(
    _ weight: Tensor, named name: String, as scheme: QuantizationScheme, scaleType: DataType, in context: PassContext
  ) throws(CompressionError) -> QuantizedLayer {
    QuantizedLayer(try Self.quantize(weight, named: name, as: scheme, pool: context.pool), clipped: 0)
  }

  /// Every weight to its nearest level.
  ///
  /// - Parameters:
  ///   - weight: `[outputs, inputs]`, floating point.
  ///   - name: for errors.
  ///   - scheme: with the levels of NF4.
  static func quantize(
    _ weight: Tensor, named name: String, as scheme: QuantizationScheme, pool: ThreadPool
  ) throws(CompressionError) -> QuantizedTensor {
    guard scheme.levels == .normalFloat4, scheme.isConsistent, weight.shape.rank == 2, weight.dataType.isFloatingPoint,
      scheme.granularity.groupSize(inputs: weight.shape[1]) > 0, let levels = scheme.levels.kernelTable
    else { throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage) }
    let source = WeightRows.tensor(weight)
    let (rows, columns, bits) = (source.rows, source.columns, scheme.bits)
    let groupSize = scheme.granularity.groupSize(inputs: columns)
    let groups = QuantizedTensor.groupCount(inputs: columns, scheme.granularity)
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: bits)
    let scales = Matrix(rows: rows, columns: groups)
    var nonfinite = [Int64](repeating: 0, count: rows)
    let codes = nonfinite.withUnsafeMutableBufferPointer { nonfinite in
      Tensor(dataType: .int32, shape: [rows, words]) { packed in
        guard let target = packed.bindMemory(to: UInt32.self).baseAddress else { return }
        // Every task writes the row it was given, and only that.
        nonisolated(unsafe) let (output, nonfinite, levels) = (target, nonfinite, levels)
        pool.run(rows, scratchBytes: columns * 5) { row, scratch in
          let values = scratch.bindMemory(to: Float.self, capacity: columns)
          let codes = (scratch + columns * 4).bindMemory(to: UInt8.self, capacity: columns)
          source.read(row: row, into: values)
          var (low, high) = (Float(0), Float(0))
          dso_min_max(values, Int64(columns), &low, &high, &nonfinite[row])
          for group in 0..<groups {
            let start = group * groupSize
            scales.row(row)[group] = dso_quantize_absmax_levels(
              values + start, Int64(min(groupSize, columns - start)), levels, Int32(bits), codes + start)
          }
          dso_pack_codes(codes, Int64(columns), Int32(bits), output + row * words)
        }
      }
    }
    let bad = nonfinite.reduce(0, +)
    guard bad == 0 else {
      throw CompressionError(
        name, "has \(bad) weights that are NaN or infinite", remedy: "repair the checkpoint, or --ignore this layer", kind: .badData)
    }
    guard
      let tensor = QuantizedTensor(
        scheme: scheme, shape: weight.shape, codes: codes, scales: scales.tensor([rows, groups]), zeroPoints: nil)
    else { throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage) }
    return tensor
  }
}
