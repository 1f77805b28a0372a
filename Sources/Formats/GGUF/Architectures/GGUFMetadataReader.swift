import Diagnostics
import StructuredData

/// Reads what a file's metadata says of its model: typed, with bounds, beside the shapes of its tensors.
struct GGUFMetadataReader: Sendable {
  /// Where errors point.
  let file: String
  let metadata: GGUFMetadata
  /// `general.architecture`, which stands before the keys.
  let architecture: String
  private let shapes: [String: [Int]]
  /// The values of `rope_freqs.weight`.
  let rotaryDivisors: [Float]?
  /// Whether there are values, or shapes alone.
  let extent: CheckpointExtent

  init(
    _ metadata: GGUFMetadata, architecture: String, tensors: [(name: String, shape: [Int])], rotaryDivisors: [Float]?,
    extent: CheckpointExtent, file: String
  ) throws(CheckpointError) {
    self.file = file
    self.metadata = metadata
    self.architecture = architecture
    self.rotaryDivisors = rotaryDivisors
    self.extent = extent
    var shapes: [String: [Int]] = [:]
    for tensor in tensors {
      guard !tensor.shape.isEmpty, tensor.shape.allSatisfy({ (1...1 << 40).contains($0) }) else {
        throw Self.malformed(file, tensor.name, "has the shape \(tensor.shape)")
      }
      guard shapes.updateValue(tensor.shape, forKey: tensor.name) == nil else { throw Self.malformed(file, tensor.name, "is there twice") }
    }
    self.shapes = shapes
  }

  var tensorCount: Int { shapes.count }

  func has(_ tensor: String) -> Bool { shapes[tensor] != nil }

  /// The shape of a tensor, outermost axis first.
  func shape(_ tensor: String, axes: Int) throws(CheckpointError) -> [Int] {
    guard let shape = shapes[tensor] else { throw Self.malformed(file, tensor, "is missing") }
    guard shape.count == axes else { throw Self.malformed(file, tensor, "has the shape \(shape), not one of \(axes) axes") }
    return shape
  }

  /// A whole number from `least` to `limit`. Where a file gives one for every layer, all must be the same.
  func count(_ key: String, default fallback: Int? = nil, least: Int = 1, limit: Int = 1 << 28) throws(CheckpointError) -> Int {
    guard let value = metadata["\(architecture).\(key)"] else {
      guard let fallback else { throw wrong(key, "is missing") }
      return fallback
    }
    let number: Int?
    switch value {
    case .int32s(let values): number = try uniform(values.map(Int.init), key)
    case .array(let values): number = try uniform(values.map { $0.integer ?? -1 }, key)
    default: number = value.integer
    }
    guard let number, (least...limit).contains(number) else {
      throw wrong(key, "is not a whole number from \(least) to \(limit)")
    }
    return number
  }

  private func uniform(_ values: [Int], _ key: String) throws(CheckpointError) -> Int {
    guard let first = values.first, values.allSatisfy({ $0 == first }) else {
      throw wrong(key, "differs between layers, which no configuration of this family can say")
    }
    return first
  }

  /// A number as it was written before it became a float32: the shortest decimal that gives the same one.
  func number(_ key: String) throws(CheckpointError) -> Double? {
    guard let value = metadata["\(architecture).\(key)"] else { return nil }
    if case .float32(let float) = value, float.isFinite { return float.written }
    guard let number = value.number, number.isFinite else { throw wrong(key, "is not a number") }
    return number
  }

  func positive(_ key: String) throws(CheckpointError) -> Double? {
    guard let number = try number(key) else { return nil }
    guard number > 0 else { throw wrong(key, "is \(number), not above 0") }
    return number
  }

  func flag(_ key: String) -> Bool? { metadata.bool("\(architecture).\(key)") }
  func text(_ key: String) -> String? { metadata.string("\(architecture).\(key)") }

  func wrong(_ key: String, _ problem: String, remedy: String = "convert the model again") -> CheckpointError {
    CheckpointError(kind: .badData, subject: "\(file): \(architecture).\(key)", problem: problem, remedy: remedy)
  }

  private static func malformed(_ file: String, _ tensor: String, _ problem: String) -> CheckpointError {
    CheckpointError(
      kind: .badData, subject: "\(file), tensor \(CheckpointError.shortened(tensor))", problem: problem, remedy: "convert the model again")
  }

  /// The special tokens, where the file names them.
  var specialTokens: JSONObject {
    var tokens: JSONObject = [:]
    for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
      if let token = metadata.integer("tokenizer.ggml.\(name)_token_id"), (0..<1 << 28).contains(token) {
        tokens[key] = .integer(Int64(token))
      }
    }
    return tokens
  }
}

extension Float {
  /// The number with the fewest digits that is this float.
  var written: Double { Double(description) ?? Double(self) }
}
