/// What the codes of a quantized weight stand for.
public enum CodeLevels: String, Sendable, Hashable, Codable, CaseIterable {
  /// Evenly spaced values: the code itself, less the zero point.
  case even
  /// Four-bit NormalFloat (Dettmers et al. 2023, QLoRA): quantiles of a normal distribution, scaled to −1…1, with a zero among them.
  case normalFloat4 = "nf4"
  /// Sixteen whole numbers, denser around zero: GGUF's IQ4_NL.
  case nonlinear4 = "iq4_nl"
  /// Four-bit floating point E2M1 (OCP Microscaling Formats 1.0): the sign is the highest bit of the code.
  case float4 = "e2m1"
  /// Eight-bit floating point E4M3 (Micikevicius et al. 2022): four bits of exponent, three of fraction, no infinities. The codes 0x7f and 0xff
  /// are NaN: they are never written, and refused where they are read.
  case float8 = "e4m3"

  /// The values of the stored codes in order, times the scale the weights; nil for evenly spaced ones.
  public var values: [Float]? {
    switch self {
    case .even: nil
    case .normalFloat4: Self.normalFloat4Values
    case .nonlinear4: Self.nonlinear4Values
    case .float4: Self.float4Values
    case .float8: Self.float8Values
    }
  }

  /// The width that codes must have; nil for any.
  public var bits: Int? {
    switch self {
    case .even: nil
    case .normalFloat4, .nonlinear4, .float4: 4
    case .float8: 8
    }
  }

  /// As the field writes it; nil for evenly spaced levels, which schemes are named by their width for.
  public var name: String? {
    switch self {
    case .even: nil
    case .normalFloat4: "NF4"
    case .nonlinear4: "IQ4_NL"
    case .float4: "FP4"
    case .float8: "FP8"
    }
  }

  /// The values where kernels read them: there for as long as the process lives.
  package var kernelTable: UnsafePointer<Float>? {
    switch self {
    case .even: nil
    case .normalFloat4: Self.normalFloat4Table
    case .nonlinear4: Self.nonlinear4Table
    case .float4: Self.float4Table
    case .float8: Self.float8Table
    }
  }

  /// Whether rounding with error feedback knows them: all but those of eight-bit floats.
  public var takesFeedback: Bool { self == .even || ascending != nil }

  /// Sixteen values in ascending order, as rounding with feedback takes them, and the code of each; nil where there are not sixteen.
  package var ascending: (values: UnsafePointer<Float>, codes: [UInt8])? {
    switch self {
    case .even, .float8: nil
    case .normalFloat4: (Self.normalFloat4Table, Array(0..<16))
    case .nonlinear4: (Self.nonlinear4Table, Array(0..<16))
    case .float4: (Self.ascendingFloat4Table, Self.ascendingFloat4Codes)
    }
  }

  /// The float32 values that the paper's appendix lists, and that bitsandbytes reads.
  private static let normalFloat4Values: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]

  private static let nonlinear4Values: [Float] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

  private static let float4Values: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

  /// Negative values have their size in ascending order.
  private static let ascendingFloat4Codes = (8..<16).reversed() + Array<UInt8>(0..<8)

  private static let float8Values = (0..<256).map { Float8.value(ofE4M3: UInt8($0)) }

  // Written once each, before the first reader has it.
  private nonisolated(unsafe) static let normalFloat4Table = table(normalFloat4Values)
  private nonisolated(unsafe) static let nonlinear4Table = table(nonlinear4Values)
  private nonisolated(unsafe) static let float4Table = table(float4Values)
  private nonisolated(unsafe) static let ascendingFloat4Table = table(ascendingFloat4Codes.map { float4Values[Int($0)] })
  private nonisolated(unsafe) static let float8Table = table(float8Values)

  private static func table(_ values: [Float]) -> UnsafePointer<Float> {
    let table = UnsafeMutablePointer<Float>.allocate(capacity: values.count)
    table.initialize(from: values, count: values.count)
    return UnsafePointer(table)
  }
}
