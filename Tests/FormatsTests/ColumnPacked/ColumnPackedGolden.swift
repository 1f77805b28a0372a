import Formats
import Foundation
import Tensors
import Testing

/// What gptqmodel and compressed-tensors made of random codes (`make-column-packed-fixtures.py`).
struct ColumnPackedGolden {
  let tensors: SafeTensorsFile

  init() throws {
    let file = Bundle.module.url(forResource: "golden", withExtension: "safetensors", subdirectory: "ColumnPackedFixtures")
    tensors = try SafeTensorsFile(#require(file))
  }

  struct Module: Sendable, CustomTestStringConvertible {
    let name: String
    let bits: Int
    let symmetric: Bool
    let group: Int
    var testDescription: String { name }

    /// Version 2 keeps zero points as gptqmodel has them in memory.
    var encoding: ColumnPackedEncoding { name.hasPrefix("awq") ? .awq : .gptq(version: 2) }
    var scheme: QuantizationScheme {
      QuantizationScheme(bits: bits, symmetric: symmetric, granularity: group == 64 && name.hasSuffix("channel") ? .channel : .group(group))
    }
    var parts: [String] { ["qweight", "qzeros", "scales"] + (encoding == .awq ? [] : ["g_idx"]) }
  }

  static let modules =
    [2, 3, 4, 8].flatMap {
      [
        Module(name: "gptq\($0)", bits: $0, symmetric: true, group: 32), Module(name: "gptq\($0)a", bits: $0, symmetric: false, group: 32),
      ]
    } + [
      Module(name: "gptq4channel", bits: 4, symmetric: true, group: 64), Module(name: "awq32", bits: 4, symmetric: false, group: 32),
      Module(name: "awq64", bits: 4, symmetric: false, group: 64),
    ]

  /// The canonical tensor of a module's codes, scales and zero points.
  func quantized(_ module: Module) throws -> QuantizedTensor {
    let bytes = try tensors.tensor("\(module.name).q")
    let codes = try #require(CodePacking.packed(signedBytes: bytes, bits: module.bits))
    let scales = try tensors.tensor("\(module.name).s")
    let zeroPoints = module.symmetric ? nil : try tensors.tensor("\(module.name).z")
    return try #require(
      QuantizedTensor(scheme: module.scheme, shape: bytes.shape, codes: codes, scales: scales, zeroPoints: zeroPoints))
  }

  /// The tensors of a module as the peer wrote them.
  func checkpoint(_ module: Module) throws -> MemoryCheckpoint {
    var checkpoint = MemoryCheckpoint()
    for part in module.parts { checkpoint.tensors["\(module.name).\(part)"] = try tensors.tensor("\(module.name).\(part)") }
    return checkpoint
  }
}
