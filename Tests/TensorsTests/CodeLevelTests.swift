import CKernels
import Tensors
import Testing

@Suite struct CodeLevelTests {
  private func tensor(_ scheme: QuantizationScheme, zeroPoints: Bool = false) -> QuantizedTensor? {
    // At 4 bits the codes 0 to 15 in order.
    let bytes: [UInt8] = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0, 0, 0, 0]
    let codes = Tensor(dataType: .int32, shape: [1, QuantizedTensor.wordsPerRow(inputs: 16, bits: scheme.bits)]) { target in
      target.copyBytes(from: bytes.prefix(target.count))
    }
    return QuantizedTensor(
      scheme: scheme, shape: [1, 16], codes: codes, scales: Tensor([0.5], shape: [1, 1]),
      zeroPoints: zeroPoints ? Tensor(int8: [0], shape: [1, 1]) : nil)
  }

  /// The paper's numbers: a zero, the ends, as many levels on either side as 16 leave, ascending.
  @Test func normalFloatIsAsPublished() throws {
    let values = try #require(CodeLevels.normalFloat4.values)
    #expect(values.count == 16 && values == values.sorted() && values.first == -1 && values.last == 1 && values[7] == 0)
    #expect(CodeLevels.normalFloat4.bits == 4 && CodeLevels.even.values == nil && CodeLevels.even.bits == nil)
  }

  @Test func codesAreLookedUp() throws {
    let quantized = try #require(tensor(QuantizationScheme(bits: 4, levels: .normalFloat4)))
    #expect(quantized.dequantized().float32Values() == CodeLevels.normalFloat4.values?.map { $0 * 0.5 })
    #expect(tensor(QuantizationScheme(bits: 4))?.dequantized().float32Values() == (0..<16).map { Float($0 - 8) * 0.5 })
  }

  /// What kernels read stays when the tensor is gone.
  @Test func theTableOutlivesTheCall() throws {
    func table() throws -> UnsafePointer<Float> {
      let quantized = try #require(tensor(QuantizationScheme(bits: 4, levels: .normalFloat4)))
      return try #require(quantized.withKernelView { $0.levels })
    }
    let found = try table()
    #expect((0..<16).map { found[$0] } == CodeLevels.normalFloat4.values)
    #expect(try table() == found)
    #expect(tensor(QuantizationScheme(bits: 4))?.withKernelView { $0.levels } == .some(nil))
  }

  @Test func whatLevelsCannotBeIsRefused() {
    #expect(tensor(QuantizationScheme(bits: 3, levels: .normalFloat4)) == nil)
    #expect(tensor(QuantizationScheme(bits: 5, levels: .normalFloat4)) == nil)
    #expect(tensor(QuantizationScheme(bits: 4, symmetric: false, levels: .normalFloat4), zeroPoints: true) == nil)
    for activations in [ActivationQuantization.int8, .int8Static] {
      #expect(tensor(QuantizationScheme(bits: 4, activations: activations, levels: .normalFloat4)) == nil)
      #expect(tensor(QuantizationScheme(bits: 4, levels: .normalFloat4))?.quantizingInputs(as: activations) == nil)
    }
  }

  @Test func schemesAreTold() throws {
    let scheme = QuantizationScheme(bits: 4, granularity: .group(64), levels: .normalFloat4)
    #expect(scheme.name == "NF4 g64" && scheme != QuantizationScheme(bits: 4, granularity: .group(64)))
    #expect(QuantizationScheme(bits: 4, levels: .normalFloat4).name == "NF4")
    let digests = [CodeLevels.even, .normalFloat4].compactMap { levels in
      tensor(QuantizationScheme(bits: 4, levels: levels)).map { Weight.quantized($0).digest() }
    }
    #expect(Set(digests).count == 2)
  }
}
