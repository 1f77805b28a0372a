/// Over which weights one scale is shared.
public enum Granularity: Sendable, Hashable, Codable {
  /// One scale per output channel (row).
  case channel
  /// One scale per `size` consecutive weights along the input axis.
  case group(Int)
  /// One scale for the whole weight; every row has it.
  case tensor
  /// One scale per square of so many rows and as many inputs, cut off at the edges; the rows of a square have the same.
  case block(Int)

  /// How many weights share a scale in a row of `inputs` weights.
  public func groupSize(inputs: Int) -> Int {
    switch self {
    case .channel, .tensor: inputs
    case .group(let size), .block(let size): size
    }
  }

  /// How many rows of `outputs` share their scales.
  public func rowsSharingScales(outputs: Int) -> Int {
    switch self {
    case .channel, .group: 1
    case .tensor: outputs
    case .block(let size): size
    }
  }
}

/// How activations enter a product with quantized weights.
public enum ActivationQuantization: String, Sendable, Hashable, Codable, CaseIterable {
  /// They stay floating point.
  case none
  /// Symmetric int8, one scale per token, found at run time.
  case int8
  /// Symmetric int8, one scale per layer, found by calibration and stored.
  case int8Static = "int8-static"
  /// Eight-bit floats (E4M3), one scale per token, found at run time; with weights that are eight-bit floats.
  case float8
}

/// Where the codes of a group begin.
public enum CodeOffset: String, Sendable, Hashable, Codable, CaseIterable {
  /// The code 0 is zero everywhere.
  case none
  /// A whole number per group is the code of zero: weight = (code − zero point) · scale.
  case zeroPoint = "zero-point"
  /// A real number per group is the weight of the smallest code: weight = (code + 2^(bits−1)) · scale + minimum (MLX, GGUF's `_1` types and
  /// most of its k-quants).
  case minimum
}

/// How the scales of groups are stored, and minima with them.
public enum ScaleEncoding: Sendable, Hashable, Codable {
  /// Each as a floating-point number.
  case direct
  /// As a power of two, E8M0 (OCP Microscaling Formats 1.0): MXFP4.
  case powerOfTwo
  /// As E4M3 over one float32 of the whole weight: NVFP4.
  case float8
  /// As whole numbers of so many bits times a float16 that 256 weights share: GGUF's k-quants.
  case superblock(bits: Int)

  /// Weights that share the float16 of a superblock.
  public static let superblockSize = 256
}

/// How a weight matrix is represented: width, signedness, granularity, and what meets it at run time.
public struct QuantizationScheme: Sendable, Hashable, Codable {
  /// Bits per code, 2 to 8.
  public var bits: Int
  public var offset: CodeOffset
  public var granularity: Granularity
  public var activations: ActivationQuantization
  /// What codes stand for.
  public var levels: CodeLevels
  public var scales: ScaleEncoding

  /// Whether zero is represented by the code 0 everywhere (neither zero points nor minima are stored).
  public var symmetric: Bool { offset == .none }

  public init(
    bits: Int, symmetric: Bool = true, granularity: Granularity = .channel, activations: ActivationQuantization = .none,
    levels: CodeLevels = .even
  ) {
    self.init(bits: bits, offset: symmetric ? .none : .zeroPoint, granularity: granularity, activations: activations, levels: levels)
  }

  public init(
    bits: Int, offset: CodeOffset, granularity: Granularity, activations: ActivationQuantization = .none, levels: CodeLevels = .even,
    scales: ScaleEncoding = .direct
  ) {
    self.bits = bits
    self.offset = offset
    self.granularity = granularity
    self.activations = activations
    self.levels = levels
    self.scales = scales
  }

  /// Whether width, offset and activations are what its levels take, and its scales what their encoding takes; always for evenly spaced
  /// codes with scales of their own.
  public var isConsistent: Bool {
    switch activations {
    case .none: break
    // Integer products multiply codes less their zero points: neither minima nor levels are whole numbers.
    case .int8, .int8Static: if offset == .minimum || levels != .even { return false }
    case .float8: if levels != .float8 { return false }
    }
    switch granularity {
    case .channel: break
    case .group(let size): if size <= 0 { return false }
    // No layout has integers with such scales.
    case .tensor: if levels != .float8 || scales != .direct { return false }
    case .block(let size): if size <= 0 || levels != .float8 || scales != .direct { return false }
    }
    if let bits = levels.bits, self.bits != bits || offset != .none { return false }
    switch scales {
    case .direct: return true
    case .powerOfTwo, .float8: return offset == .none && activations == .none
    case .superblock: return levels == .even && offset != .zeroPoint && activations == .none && kQuant != nil
    }
  }

  /// The smallest and largest code: −2^(bits−1) and 2^(bits−1)−1.
  public var codeRange: ClosedRange<Int> { -(1 << (bits - 1))...(1 << (bits - 1)) - 1 }

  /// Short name as the field writes it: `W4A16 g128`, `W8A8`, `W8A8 static`, `W4A16 g64 asymmetric`, `NF4 g64`, `Q4_K`,
  /// `FP8 128x128`, `FP8 A8`.
  public var name: String {
    if case .superblock = scales, let kQuant { return kQuant }
    var text = levels.name ?? "W\(bits)A\(activations == .none ? 16 : 8)"
    switch scales {
    // What the levels, the group and these scales are together has a name of its own.
    case .powerOfTwo where levels == .float4 && granularity == .group(32): return "MXFP4"
    case .float8 where levels == .float4 && granularity == .group(16): return "NVFP4"
    case .powerOfTwo: text += " E8M0"
    case .float8: text += " E4M3"
    case .direct, .superblock: break
    }
    switch granularity {
    case .channel: break
    case .group(let size): text += " g\(size)"
    case .tensor: text += " tensor"
    case .block(let size): text += " \(size)x\(size)"
    }
    if activations == .int8Static { text += " static" }
    if activations == .float8 { text += " A8" }
    switch offset {
    case .none: return text
    case .zeroPoint: return text + " asymmetric"
    case .minimum: return text + " affine"
    }
  }

  /// The k-quant that this is; nil for anything else.
  private var kQuant: String? {
    switch (bits, granularity, offset, scales) {
    case (2, .group(16), .minimum, .superblock(bits: 4)): "Q2_K"
    case (3, .group(16), .none, .superblock(bits: 6)): "Q3_K"
    case (4, .group(32), .minimum, .superblock(bits: 6)): "Q4_K"
    case (5, .group(32), .minimum, .superblock(bits: 6)): "Q5_K"
    case (6, .group(16), .none, .superblock(bits: 8)): "Q6_K"
    default: nil
    }
  }
}
