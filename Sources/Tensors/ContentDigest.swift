import CKernels

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
public struct ContentDigest: Sendable {
  private var state = dso_sha256()

  public init() { dso_sha256_start(&state) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    if let base = bytes.baseAddress { dso_sha256_update(&state, base, bytes.count) }
  }

  public mutating func update(_ text: String) {
    var text = text
    text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
  }

  /// The digest in lower-case hexadecimal.
  public func hexadecimal() -> String {
    var copy = state
    var bytes = [UInt8](repeating: 0, count: 32)
    dso_sha256_finish(&copy, &bytes)
    return bytes.map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
  }
}

extension Weight {
  /// A digest of type, shape and every stored value: equal digests mean that the dequantized values are equal to the last bit.
  public func digest() -> String {
    var digest = ContentDigest()
    func add(_ tensor: Tensor) {
      digest.update("\(tensor.dataType.rawValue)\(tensor.shape)")
      tensor.withUnsafeBytes { digest.update($0) }
    }
    switch self {
    case .dense(let tensor): add(tensor)
    case .quantized(let tensor):
      digest.update("\(tensor.scheme.name)\(tensor.shape)")
      add(tensor.codes)
      add(tensor.scales)
      if let points = tensor.zeroPoints { add(points) }
      if let scale = tensor.inputScale { digest.update("input \(scale.bitPattern)") }
    }
    return digest.hexadecimal()
  }
}
