import StructuredData
import Tensors

/// One block of arguments in a group of `config_groups`: how weights, or what meets them, are quantized.
struct QuantizationArguments {
  private let key: String
  let bits: Int
  let symmetric: Bool
  let strategy: String
  let groupSize: Int?
  let isDynamic: Bool
  /// Whether codes are floats rather than integers.
  let isFloat: Bool
  /// Rows and inputs of the squares that share a scale; nil for another strategy.
  let block: Int?

  private static let known = [
    "num_bits", "type", "symmetric", "group_size", "strategy", "block_structure", "dynamic", "actorder", "scale_dtype", "zp_dtype",
    "observer",
    "observer_kwargs",
  ]

  /// Nil for null or nothing. Throws for what compressed-tensors refuses, and for types other than integers.
  init?(_ value: JSONValue?, at key: String) throws(CheckpointError) {
    guard let value, !value.isNull else { return nil }
    self.key = key
    guard let object = value.object else { throw Self.malformed(key, "it is not an object") }
    if let unknown = object.keys.first(where: { !Self.known.contains($0) }) {
      throw Self.malformed("\(key).\(unknown)", "the key is unknown", remedy: "compressed-tensors refuses it too")
    }
    func refused(_ name: String) -> CheckpointError {
      let text = object[name]?.text(pretty: false) ?? "null"
      return Self.malformed("\(key).\(name)", "\(CheckpointError.shortened(text)) is not supported")
    }
    let type = object["type"].map { $0.string?.lowercased() } ?? "int"
    guard type == "int" || type == "float" else { throw refused("type") }
    isFloat = type == "float"
    guard let bits = object["num_bits"].map(\.integer) ?? 8 else { throw refused("num_bits") }
    guard let symmetric = object["symmetric"].map(\.bool) ?? true else { throw refused("symmetric") }
    guard let isDynamic = object["dynamic"].map(\.bool) ?? false else { throw refused("dynamic") }
    if let order = object["actorder"], !order.isNull, order.bool != false {
      // "group" would need an index that says in which group each column lies.
      guard ["weight", "static"].contains(order.string?.lowercased()) else { throw refused("actorder") }
    }
    var block: Int?
    if let structure = object["block_structure"], !structure.isNull {
      let sides = structure.array?.compactMap(\.integer) ?? []
      guard sides.count == 2, sides[0] == sides[1], (1...1 << 20).contains(sides[0]) else { throw refused("block_structure") }
      block = sides[0]
    }
    self.block = block
    var groupSize: Int?
    if let size = object["group_size"], !size.isNull {
      guard let count = size.integer, count == -1 || (1...CompressedTensorsFormat.maximumGroupSize).contains(count) else {
        throw refused("group_size")
      }
      groupSize = count
    }
    if let strategy = object["strategy"], !strategy.isNull {
      guard let name = strategy.string?.lowercased() else { throw refused("strategy") }
      self.strategy = name
    } else {
      strategy = groupSize.map { $0 > 0 ? "group" : "channel" } ?? "tensor"
    }
    guard (strategy == "group" || strategy == "tensor_group") == ((groupSize ?? -1) > 0), (strategy == "block") == (block != nil) else {
      throw Self.malformed("\(key).group_size", "it does not go with the strategy \"\(CheckpointError.shortened(strategy))\"")
    }
    self.bits = bits
    self.symmetric = symmetric
    self.groupSize = groupSize
    self.isDynamic = isDynamic
  }

  private static func malformed(_ key: String, _ problem: String, remedy: String = "") -> CheckpointError {
    CompressedTensorsConfiguration.malformed(key, problem, remedy: remedy)
  }

  /// As a scheme of weights, activations aside.
  func weightScheme() throws(CheckpointError) -> QuantizationScheme {
    guard (2...8).contains(bits) else { throw Self.malformed("\(key).num_bits", "\(bits) is not supported", remedy: "2 to 8 are") }
    guard !isDynamic else { throw Self.malformed("\(key).dynamic", "weights cannot be quantized at run time") }
    if isFloat { return try floatScheme() }
    switch (strategy, groupSize) {
    case ("channel", _): return QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .channel)
    case ("group", let size?): return QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .group(size))
    default:
      throw Self.malformed(
        "\(key).strategy", "\"\(CheckpointError.shortened(strategy))\" is not supported for weights", remedy: "channel and group are")
    }
  }

  private func floatScheme() throws(CheckpointError) -> QuantizationScheme {
    let granularity: Granularity? =
      switch (bits, strategy, groupSize, block) {
      case (8, "channel", _, _): .channel
      case (8, "tensor", _, _): .tensor
      case (8, "block", _, let side?): .block(side)
      default: nil
      }
    if let granularity, symmetric { return QuantizationScheme(bits: 8, offset: .none, granularity: granularity, levels: .float8) }
    switch (bits, strategy, groupSize, symmetric) {
    case (4, "tensor_group", 16, true):
      return QuantizationScheme(bits: 4, offset: .none, granularity: .group(16), levels: .float4, scales: .float8)
    case (4, "group", 32, true):
      return QuantizationScheme(bits: 4, offset: .none, granularity: .group(32), levels: .float4, scales: .powerOfTwo)
    default:
      throw Self.malformed(
        key,
        "\(symmetric ? "symmetric" : "asymmetric") \(bits)-bit floats, strategy \"\(CheckpointError.shortened(strategy))\", are not supported",
        remedy: "8 bits per channel, tensor or block are, and 4 bits in groups of 16 (NVFP4) or 32 (MXFP4)")
    }
  }

  /// As what meets weights: symmetric int8 or float8, with one scale per token found at run time, or with one per layer that is stored.
  /// - Parameter weights: that they meet. With scales per square, those of activations are per token and as many inputs.
  func activationQuantization(with weights: Granularity?) throws(CheckpointError) -> ActivationQuantization {
    if isFloat {
      switch (bits, symmetric, strategy, isDynamic, weights) {
      case (8, true, "group", true, .block(let side)) where groupSize == side: return .float8
      case (8, true, "token", true, .channel), (8, true, "token", true, .tensor): return .float8
      default: throw unsupportedActivations()
      }
    }
    switch (bits, symmetric, strategy, isDynamic) {
    case (8, true, "token", true): return .int8
    case (8, true, "tensor", false): return .int8Static
    default: throw unsupportedActivations()
    }
  }

  private func unsupportedActivations() -> CheckpointError {
    Self.malformed(
      key,
      "\(symmetric ? "symmetric" : "asymmetric") \(bits)-bit \(isFloat ? "float " : "")activations, \(isDynamic ? "dynamic" : "static"), strategy "
        + "\"\(CheckpointError.shortened(strategy))\", are not supported with these weights",
      remedy: isFloat
        ? "8-bit floats are, dynamic per token, or per group beside weights in blocks of that size"
        : "symmetric 8-bit activations are, dynamic per token or static per tensor")
  }
}
