import ModelGraph
import Testing

@Suite struct RotaryTests {
  private func rotary(_ scaling: RotaryScaling) -> RotaryEmbedding {
    RotaryEmbedding(heads: 1, headDimension: 8, rotaryDimension: 8, base: 10_000, scaling: scaling)
  }

  @Test func plainFrequenciesFallGeometrically() {
    let frequencies = rotary(.none).inverseFrequencies()
    #expect(frequencies.map { ($0 * 1e6).rounded() } == [1_000_000, 100_000, 10_000, 1_000])
  }

  @Test func linearScalingDividesAll() {
    #expect(rotary(.linear(factor: 4)).inverseFrequencies() == rotary(.none).inverseFrequencies().map { $0 / 4 })
  }

  /// Short wavelengths stay, long ones are divided.
  @Test func llama3KeepsShortAndDividesLongWavelengths() {
    let plain = rotary(.none).inverseFrequencies()
    let scaled = rotary(.llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 64)).inverseFrequencies()
    #expect(scaled[0] == plain[0])
    #expect(scaled[3] == plain[3] / 8)
    #expect(scaled[1] < plain[1] && scaled[1] > plain[1] / 8)
  }

  @Test func yarnMagnitudeFollowsThePaper() {
    let yarn = RotaryScaling.Yarn(factor: 4, originalContext: 64)
    #expect(abs(rotary(.yarn(yarn)).magnitude - 1.138_629_4) < 1e-6)
    var given = yarn
    given.attentionFactor = 0.5
    #expect(rotary(.yarn(given)).magnitude == 0.5)
    #expect(RotaryScaling.Yarn.magnitude(factor: 0.5) == 1)
  }
}
