import CKernels

/// Weights of any storage that own their memory, with no byte to spare behind the last row.
final class WeightMatrix {
  let view: dso_weights
  private let memory: [UnsafeMutableRawPointer]

  enum Storage {
    case float32, bfloat16, float16
    case codes(bits: Int, groupSize: Int, asymmetric: Bool)
    /// Codes into a table of levels that follow no rule.
    case levels(bits: Int, groupSize: Int)

    /// The same with groups no longer than a row.
    func fitting(_ k: Int) -> Storage {
      switch self {
      case .codes(let bits, let size, let asymmetric): .codes(bits: bits, groupSize: min(size, k), asymmetric: asymmetric)
      case .levels(let bits, let size): .levels(bits: bits, groupSize: min(size, k))
      default: self
      }
    }
  }

  init(_ storage: Storage, n: Int, k: Int, using numbers: inout TestNumbers) {
    var view = dso_weights()
    view.n = Int64(n)
    view.k = Int64(k)
    view.group_size = Int64(k)
    var memory: [UnsafeMutableRawPointer] = []
    func keep<T>(_ elements: [T]) -> UnsafeMutablePointer<T> { Self.keep(elements, in: &memory) }
    switch storage {
    case .float32:
      view.storage = DSO_STORAGE_F32
      view.row_bytes = Int64(4 * k)
      view.data = UnsafeRawPointer(keep(numbers.floats(n * k)))
    case .bfloat16:
      view.storage = DSO_STORAGE_BF16
      view.row_bytes = Int64(2 * k)
      view.data = UnsafeRawPointer(keep(numbers.floats(n * k).map { UInt16($0.bitPattern >> 16) }))
    case .float16:
      // Finite patterns: exponents up to 15, values up to 2 in magnitude.
      view.storage = DSO_STORAGE_F16
      view.row_bytes = Int64(2 * k)
      view.data = UnsafeRawPointer(keep((0..<n * k).map { _ in UInt16.random(in: 0...UInt16.max, using: &numbers) & 0xbfff }))
    case .levels(let bits, let groupSize), .codes(let bits, let groupSize, _):
      view.storage = DSO_STORAGE_QUANTIZED
      view.bits = Int32(bits)
      view.group_size = Int64(groupSize)
      let rowBytes = (k * bits + 7) / 8
      let groups = n * ((k + groupSize - 1) / groupSize)
      view.row_bytes = Int64(rowBytes)
      view.data = UnsafeRawPointer(keep((0..<n * rowBytes).map { _ in UInt8.random(in: 0...255, using: &numbers) }))
      view.scales = UnsafePointer(keep(numbers.floats(groups, 0.001...0.02)))
      if case .levels = storage { view.levels = UnsafePointer(keep(numbers.floats(1 << bits, -1...1))) }
      if case .codes(_, _, asymmetric: true) = storage {
        let half = 1 << (bits - 1)
        view.zero_points = UnsafePointer(keep((0..<groups).map { _ in Int8(Int.random(in: -half...half - 1, using: &numbers)) }))
      }
    }
    self.view = view
    self.memory = memory
  }

  /// Codes that are all the least or all the largest, a group a row, of scale 1 and one zero point.
  init(bits: Int, stored: Extreme, zeroPoint: Int?, n: Int, k: Int) {
    var view = dso_weights()
    var memory: [UnsafeMutableRawPointer] = []
    let rowBytes = (k * bits + 7) / 8
    view.storage = DSO_STORAGE_QUANTIZED
    view.bits = Int32(bits)
    (view.n, view.k, view.group_size, view.row_bytes) = (Int64(n), Int64(k), Int64(k), Int64(rowBytes))
    view.data = UnsafeRawPointer(Self.keep([UInt8](repeating: stored == .least ? 0 : 0xff, count: n * rowBytes), in: &memory))
    view.scales = UnsafePointer(Self.keep([Float](repeating: 1, count: n), in: &memory))
    view.zero_points = zeroPoint.map { UnsafePointer(Self.keep([Int8](repeating: Int8($0), count: n), in: &memory)) }
    self.view = view
    self.memory = memory
  }

  enum Extreme: CaseIterable { case least, largest }

  private static func keep<T>(_ elements: [T], in memory: inout [UnsafeMutableRawPointer]) -> UnsafeMutablePointer<T> {
    let pointer = UnsafeMutablePointer<T>.allocate(capacity: max(elements.count, 1))
    pointer.initialize(from: elements, count: elements.count)
    memory.append(UnsafeMutableRawPointer(pointer))
    return pointer
  }

  deinit { for pointer in memory { pointer.deallocate() } }

  /// One code of a row, taken bit by bit from the definition.
  func code(_ row: Int, _ column: Int) -> Int {
    let bits = Int(view.bits)
    var stored = 0
    for bit in 0..<bits {
      let position = column * bits + bit
      let byte = view.data.load(fromByteOffset: row * Int(view.row_bytes) + position / 8, as: UInt8.self)
      stored |= Int(byte >> (position % 8) & 1) << bit
    }
    return stored - (1 << (bits - 1))
  }

  func group(_ row: Int, _ column: Int) -> Int {
    row * Int((view.k + view.group_size - 1) / view.group_size) + column / Int(view.group_size)
  }

  func zeroPoint(_ row: Int, _ column: Int) -> Int { view.zero_points.map { Int($0[group(row, column)]) } ?? 0 }

  /// An element from the definition of the storage.
  func value(_ row: Int, _ column: Int) -> Float {
    let at = row * Int(view.row_bytes)
    switch view.storage {
    case DSO_STORAGE_F32: return view.data.loadUnaligned(fromByteOffset: at + 4 * column, as: Float.self)
    case DSO_STORAGE_BF16:
      return Float(bitPattern: UInt32(view.data.loadUnaligned(fromByteOffset: at + 2 * column, as: UInt16.self)) << 16)
    case DSO_STORAGE_F16: return Self.float(half: view.data.loadUnaligned(fromByteOffset: at + 2 * column, as: UInt16.self))
    default:
      let scale = view.scales[group(row, column)]
      if let levels = view.levels { return levels[code(row, column) + (1 << (view.bits - 1))] * scale }
      return Float(code(row, column) - zeroPoint(row, column)) * scale
    }
  }

  /// IEEE binary16 by its definition; written out because Float16 is missing on some platforms.
  static func float(half: UInt16) -> Float {
    let exponent = Int(half >> 10 & 31), fraction = Float(half & 1023)
    let magnitude: Float
    switch exponent {
    case 0: magnitude = fraction * 0x1p-24
    case 31: magnitude = fraction == 0 ? .infinity : .nan
    default: magnitude = Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
    return half >> 15 == 0 ? magnitude : -magnitude
  }
}
