import ArgumentParser
import DeepSeekOptimize

/// What the flags mean for GGUF, whose types bring bits, groups and method along.
extension QuantizationOptions {
  /// The type of GGUF's that a method or groups of 32 ask for; nil where neither is given, or no type is such.
  var simpleBlocks: WeightType? {
    guard groupSize == 32 || groupSize == nil && method != nil else { return nil }
    switch (bits ?? 8, method ?? .symmetric) {
    case (8, .symmetric): return .q8_0
    case (5, .symmetric): return .q5_0
    case (4, .symmetric): return .q4_0
    case (6, .symmetric) where groupSize == nil: return .q6_K
    case (3, .symmetric) where groupSize == nil: return .q3_K
    case (5, .asymmetric): return groupSize == nil ? .q5_K : .q5_1
    case (4, .asymmetric): return groupSize == nil ? .q4_K : .q4_1
    case (2, .asymmetric) where groupSize == nil: return .q2_K
    default: return nil
    }
  }

  /// GGUF's types bring bits, groups and method along.
  func checkBlocks() throws {
    if let ggufType {
      guard format == .gguf else { throw ValidationError("--gguf-type \(ggufType.rawValue) is for --format gguf, which is not given") }
      if groupSize != nil || method != nil {
        throw ValidationError("--gguf-type \(ggufType.rawValue) says groups and method itself: leave --group-size and --method out")
      }
      if let bits, bits != ggufType.bits {
        throw ValidationError("--gguf-type \(ggufType.rawValue) has \(ggufType.bits ?? 0) bits, not --bits \(bits)")
      }
      if type != nil || scheme != nil {
        throw ValidationError(
          "--gguf-type \(ggufType.rawValue) and --\(type != nil ? "type" : "scheme") each say what codes are: give one of them")
      }
      if mixedPrecision.isAutomatic {
        throw ValidationError("--mixed-precision auto chooses the types: leave --gguf-type out, or give some layers theirs with --override")
      }
    }
    guard format == .gguf, type == nil, scheme == nil, ggufType == nil else { return }
    if method != nil || groupSize != nil, mixedPrecision.choice == .auto || mixedPrecision.choice == .roles {
      throw ValidationError(
        "--mixed-precision \(mixedPrecision.choice?.rawValue ?? "") goes by the types that lead at each width, with groups and methods of their own: "
          + "leave \(method != nil ? "--method" : "--group-size") out")
    }
    if let method, groupSize == nil {
      guard simpleBlocks != nil else {
        throw ValidationError("GGUF has no \(method.rawValue) type of \(bits ?? 8) bits: leave --method out")
      }
    }
    guard let groupSize, groupSize != 32 || simpleBlocks == nil else { return }
    throw ValidationError(
      "--group-size \(groupSize) is not one of GGUF's: with 32 and --bits 8, 5 or 4 it has Q8_0, Q5_0, Q4_0 (asymmetric: Q5_1, Q4_1); left out, "
        + "Q8_0, Q6_K, Q5_K, Q4_K, Q3_K or Q2_K")
  }
}
