import CKernels

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
public struct ContentDigest: Sendable {
  private var state = dso_sha256()

  public init() { dso_sha256_start(&state) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    if let base = bytes.baseAddress { dso_sha256_update(&state, base, bytes.count) }
  }

  /// Takes as many bytes into each of two digests, in little more time than into one of them.
  /// - Precondition: both have the same count.
  public static func update(
    _ first: inout ContentDigest, _ firstBytes: UnsafeRawBufferPointer, _ second: inout ContentDigest, _ secondBytes: UnsafeRawBufferPointer
  ) {
    precondition(firstBytes.count == secondBytes.count)
    guard let one = firstBytes.baseAddress, let other = secondBytes.baseAddress else { return }
    dso_sha256_update_two(&first.state, one, &second.state, other, firstBytes.count)
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

/// 128 bits that tell whether stored bytes are what they were: for damage, not for malice.
package struct Fingerprint: Sendable, Hashable {
  private let low, high: UInt64

  /// - Parameter mask: what every byte is taken exclusive-or with: 0x80 gives signed codes the fingerprint of stored ones.
  package init(_ bytes: UnsafeRawBufferPointer, mask: UInt8 = 0) {
    var words: (UInt64, UInt64) = (0, 0)
    withUnsafeMutableBytes(of: &words) {
      dso_fingerprint(bytes.baseAddress, Int64(bytes.count), mask, $0.bindMemory(to: UInt64.self).baseAddress)
    }
    (low, high) = words
  }

  package init(_ tensor: Tensor, mask: UInt8 = 0) { self = tensor.withUnsafeBytes { Fingerprint($0, mask: mask) } }

  fileprivate func add(to digest: inout ContentDigest) {
    withUnsafeBytes(of: (low.littleEndian, high.littleEndian)) { digest.update($0) }
  }
}

extension Weight {
  /// A digest of type, shape and every stored value: equal digests mean that the dequantized values are equal to the last bit, unless someone
  /// made it so with intent.
  public func digest() -> String {
    switch self {
    case .dense(let tensor): Self.digest(ofDense: tensor)
    case .quantized(let tensor):
      Self.digest(
        tensor.scheme, tensor.shape, codes: Fingerprint(tensor.codes), scales: tensor.scales, zeroPoints: tensor.zeroPoints,
        minima: tensor.minima, inputScale: tensor.inputScale)
    }
  }

  private static func digest(ofDense tensor: Tensor) -> String {
    var digest = ContentDigest()
    add(tensor, to: &digest)
    return digest.hexadecimal()
  }

  /// The digest of a quantized weight whose codes are known by their fingerprint in the canonical form.
  package static func digest(
    _ scheme: QuantizationScheme, _ shape: Shape, codes: Fingerprint, scales: Tensor, zeroPoints: Tensor?, minima: Tensor? = nil,
    inputScale: Float?
  ) -> String {
    var digest = ContentDigest()
    digest.update("\(scheme.name)\(shape)")
    codes.add(to: &digest)
    add(scales, to: &digest)
    if let zeroPoints { add(zeroPoints, to: &digest) }
    if let minima { add(minima, to: &digest) }
    if let inputScale { digest.update("input \(inputScale.bitPattern)") }
    return digest.hexadecimal()
  }

  private static func add(_ tensor: Tensor, to digest: inout ContentDigest) {
    digest.update("\(tensor.dataType.rawValue)\(tensor.shape)")
    Fingerprint(tensor).add(to: &digest)
  }
}
