/// What a tensor of an adapter file is, by its name.
struct AdapterTensorKey: Equatable {
  enum Part: String {
    case a = "lora_A"
    case b = "lora_B"
    case embeddingA = "lora_embedding_A"
    case embeddingB = "lora_embedding_B"
    case magnitude = "lora_magnitude_vector"
  }

  let module: String
  let part: Part
  /// The adapter's name, which a state that was not saved through PEFT still has: `default`.
  var adapter: String?

  static let peftPrefix = "base_model.model."

  /// PEFT: `base_model.model.<module>.lora_A[.<adapter>].weight`, `.lora_embedding_A[.<adapter>]`,
  /// `.lora_magnitude_vector[.<adapter>][.weight]`.
  init?(peft name: String) {
    guard name.utf8.starts(with: Self.peftPrefix.utf8) else { return nil }
    var parts = name.utf8.dropFirst(Self.peftPrefix.utf8.count).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      .map { String($0) ?? "" }
    var isWeight = false
    if parts.last == "weight" {
      isWeight = true
      parts.removeLast()
    }
    guard let last = parts.last else { return nil }
    if let part = Part(rawValue: last) {
      self.part = part
      parts.removeLast()
    } else if parts.count >= 2, let part = Part(rawValue: parts[parts.count - 2]) {
      self.part = part
      adapter = last
      parts.removeLast(2)
    } else {
      return nil
    }
    switch part {
    case .a, .b: guard isWeight else { return nil }
    case .embeddingA, .embeddingB: guard !isWeight else { return nil }
    case .magnitude: break
    }
    guard !parts.isEmpty, !parts.contains(""), adapter != "" else { return nil }
    module = parts.joined(separator: ".")
  }

  /// mlx-lm: `<module>.lora_a`, `<module>.lora_b`, `<module>.m`.
  init?(mlx name: String) {
    let module = String(name.dropLast(name.leafName.count + 1))
    guard !module.isEmpty else { return nil }
    switch name.leafName {
    case "lora_a": part = .a
    case "lora_b": part = .b
    case "m": part = .magnitude
    default: return nil
    }
    self.module = module
  }
}
