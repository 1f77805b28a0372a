import Execution
import Testing

@testable import Training

@Suite struct LossScaleTests {
  @Test func fallsAtOnceAndRisesSlowly() {
    var scale = LossScale(for: .float16)
    #expect(scale.value == 65_536 && scale.canFall)
    scale.adapt(isFinite: false)
    scale.adapt(isFinite: false)
    #expect(scale.value == 16_384 && scale.steadySteps == 0)
    for _ in 0..<1999 { scale.adapt(isFinite: true) }
    #expect(scale.value == 16_384 && scale.steadySteps == 1999)
    scale.adapt(isFinite: true)
    #expect(scale.value == 32_768 && scale.steadySteps == 0)
    for _ in 0..<40 { scale.adapt(isFinite: false) }
    #expect(scale.value == 1 && !scale.canFall)
  }

  @Test func otherPrecisionsHaveNone() {
    for precision in ProductPrecision.allCases where precision != .float16 {
      var scale = LossScale(for: precision)
      scale.adapt(isFinite: false)
      #expect(scale.value == 1 && !scale.canFall && scale.steadySteps == 0)
      let isTaken = scale.resume(exponent: 3, steadySteps: 0)
      #expect(!isTaken)
    }
  }

  @Test func comesBackAsItWas() {
    var scale = LossScale(for: .float16)
    for step in 0..<2500 { scale.adapt(isFinite: step % 7 != 3 || step > 400) }
    var other = LossScale(for: .float16)
    let isTaken = other.resume(exponent: scale.exponent, steadySteps: scale.steadySteps)
    #expect(isTaken && other == scale)
    for (exponent, steps) in [(-1, 0), (65, 0), (3, -1), (3, 2000)] {
      let isTaken = other.resume(exponent: exponent, steadySteps: steps)
      #expect(!isTaken)
    }
    #expect(other == scale)
  }
}
