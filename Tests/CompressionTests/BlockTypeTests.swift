import Tensors
import Testing

@testable import Compression

/// The types of GGUF's that weights are quantized to, against the codec that writes them.
@Suite struct BlockTypeTests {
  private static let numbers: [WeightType: UInt32] = [
    .q4_0: 2, .q4_1: 3, .q5_0: 6, .q5_1: 7, .q8_0: 8, .q2_K: 10, .q3_K: 11, .q4_K: 12, .q5_K: 13, .q6_K: 14, .iq4_NL: 20, .mxfp4: 39,
  ]

  @Test func schemesAreThoseOfTheCodec() {
    for (type, number) in Self.numbers { #expect(type.blockScheme == BlockCodec(number: number)?.scheme, "\(type)") }
    // What is missing from the table is no type of blocks, or none of GGUF's.
    for type in WeightType.allCases where Self.numbers[type] == nil {
      #expect(type.blockScheme.flatMap { BlockCodec($0) } == nil, "\(type)")
    }
  }
}
