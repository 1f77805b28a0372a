import Execution
import Tensors

@testable import Compression

/// Matrices of numbers that quantization has trouble with; every one of them is finite.
enum HostileWeights: CaseIterable {
  case zeros, zeroRows, denormals, constants, oneSpike, halfEdge, beyondHalf, largest, smallest, mixed

  /// An odd row is what the name says where rows differ.
  private func value(row: Int, column: Int) -> Float {
    let sign: Float = (column * 7 + row) % 3 == 0 ? -1 : 1
    let unit = Float((column * 37 + row * 11) % 101) / 100 + 0.01
    switch self {
    case .zeros: return 0
    case .zeroRows: return row % 2 == 1 ? 0 : sign * unit
    case .denormals: return sign * unit * 0x1p-130
    case .constants: return row % 2 == 1 ? 0.37 : -1
    case .oneSpike: return column == 5 ? sign * 65504 : row % 2 == 1 ? 0 : sign * unit * 1e-7
    case .halfEdge: return sign * (column % 2 == 0 ? 65504 : 65472)
    case .beyondHalf: return sign * unit * 1e7
    // A grid reaches up to three times as far as the weight that it is made for, and its last value is a float, too.
    case .largest: return (column % 2 == 0 ? 0.25 : -0.25) * .greatestFiniteMagnitude
    case .smallest: return column % 4 == 0 ? sign * .leastNonzeroMagnitude : 0
    case .mixed: return sign * [1e-30, 1e-7, 1e-3, 1, 1e3, 6e4][(column / 3) % 6]
    }
  }

  /// Of a type that holds them: beyond what float16 does there is its largest value.
  func weight(_ rows: Int, _ columns: Int, _ type: DataType) -> Tensor? {
    let most = type == .float16 ? Float(65504) : type == .bfloat16 ? Float(bitPattern: 0x7F7F_0000) : .greatestFiniteMagnitude
    let values = (0..<rows * columns).map { min(max(value(row: $0 / columns, column: $0 % columns), -most), most) }
    return Tensor(values, shape: [rows, columns]).converted(to: type)
  }
}

/// A way to quantize one matrix, with a name for messages.
struct NamedQuantizer: Sendable {
  let name: String
  let columns: Int
  let quantize: @Sendable (_ weight: Tensor, _ scaleType: DataType, ThreadPool) throws -> QuantizedTensor

  /// Every rule and every search, with groups of one weight, of some, with a rest that is shorter, and of the whole row.
  static let all: [NamedQuantizer] = {
    var all: [NamedQuantizer] = []
    for bits in [2, 4, 8] {
      for symmetric in [true, false] {
        for granularity in [Granularity.channel, .group(1), .group(32), .group(40)] {
          all += grids(QuantizationScheme(bits: bits, symmetric: symmetric, granularity: granularity))
        }
      }
      for size in [1, 32, 48] {
        all += searches(QuantizationScheme(bits: bits, offset: .minimum, granularity: .group(size)), "affine \(bits) g\(size)")
      }
    }
    for type in WeightType.allCases {
      if let scheme = type.blockScheme { all += searches(scheme, "\(type)") }
    }
    return all + [normalFloat]
  }()

  /// The rules, and the searches of a table of scales.
  private static func grids(_ scheme: QuantizationScheme) -> [NamedQuantizer] {
    let columns = 96
    var result: [NamedQuantizer] = []
    for rule in scheme.symmetric ? ScaleRule.allCases : [.signedAbsmax] {
      result.append(
        NamedQuantizer(name: "\(rule) \(scheme.name)", columns: columns) { weight, type, pool in
          try RowQuantizer(scheme: scheme, rule: rule, scaleType: type).quantize(weight, named: "w", pool: pool).tensor
        })
    }
    result.append(
      NamedQuantizer(name: "mse \(scheme.name)", columns: columns) { weight, type, pool in
        try SearchedScales.quantize(.tensor(weight), named: "w", as: scheme, scaleType: type, pool: pool).tensor
      })
    // Inputs that never were anything else than zero, and one that is beyond all others.
    let importance = (0..<columns).map { column -> Float in column < 40 ? 0 : column == 50 ? 1e30 : 1e-12 }
    result.append(
      NamedQuantizer(name: "imatrix \(scheme.name)", columns: columns) { weight, type, pool in
        try SearchedScales.quantize(
          .tensor(weight), named: "w", as: scheme, importance: importance, elements: .imatrix, scaleType: type, pool: pool
        ).tensor
      })
    result.append(
      NamedQuantizer(name: "hqq \(scheme.name)", columns: columns) { weight, type, pool in
        let rows = WeightRows.tensor(weight)
        let table = try HalfQuadratic().table(for: rows, named: "w", scheme: scheme, scaleType: type, pool: pool)
        return try table.quantize(rows, named: "w", pool: pool).tensor
      })
    return result
  }

  /// The search of a type that brings codes and scales along: blocks, floats, minima.
  private static func searches(_ scheme: QuantizationScheme, _ name: String) -> [NamedQuantizer] {
    let columns = 256
    let weighing = (0..<columns).map { column -> Float in column % 5 == 0 ? 0 : Float(column) }
    let importances: [[Float]?] = [nil, weighing]
    return importances.map { importance in
      NamedQuantizer(name: importance == nil ? name : "\(name) weighed", columns: columns) { weight, type, pool in
        try SearchedScales.quantize(.tensor(weight), named: "w", as: scheme, importance: importance, scaleType: type, pool: pool).tensor
      }
    }
  }

  private static let normalFloat = NamedQuantizer(name: "nf4", columns: 96) { weight, _, pool in
    var scheme = QuantizationScheme(bits: 4, granularity: .group(32))
    scheme.levels = .normalFloat4
    return try NormalFloat.quantize(weight, named: "w", as: scheme, pool: pool)
  }
}
