import CKernels
import Foundation
import Testing

extension KernelTests {
  @Suite struct DynamicTanh {
    static let kernels = ["dso_dynamic_tanh", "dso_dynamic_tanh_backward"]

    /// Against double precision; what lies between rows is not touched.
    @Test func matchesDoublePrecision() {
      var numbers = TestNumbers(seed: 95)
      for width in boundaries {
        for steepness in [Float(0.7), 40] {
          let rows = 3, ld = width + 2
          let x = numbers.floats(rows * ld), dy = numbers.floats(rows * ld), start = numbers.floats(rows * ld)
          let gain = numbers.floats(width), bias = numbers.floats(width)
          let tanhs = x.map { tanh(Double(steepness * $0)) }
          var forward: [Double] = [], back: [Double] = [], gains = [Double](repeating: 1, count: width), steep = 1.0
          for at in 0..<rows * ld {
            let column = at % ld
            guard column < width else {
              forward.append(Double(start[at]))
              back.append(Double(start[at]))
              continue
            }
            let t = tanh(Double(steepness) * Double(x[at])), slope = Double(dy[at]) * Double(gain[column]) * (1 - t * t)
            forward.append(Double(gain[column]) * tanhs[at] + Double(bias[column]))
            back.append(Double(start[at]) + slope * Double(steepness))
            gains[column] += Double(dy[at]) * t
            steep += slope * Double(x[at])
          }
          for set in allSets {
            let label = "\(name(set)) \(width) \(steepness)"
            let y = GuardedArray(start, canary: -77), dx = GuardedArray(start, canary: -77)
            let dgain = GuardedArray([Float](repeating: 1, count: width), canary: -77)
            var dsteepness: Float = 1
            with(set) {
              dso_dynamic_tanh(x, Int64(ld), steepness, gain, bias, y.pointer, Int64(ld), Int64(rows), Int64(width))
              dso_dynamic_tanh_backward(
                x, Int64(ld), steepness, gain, dy, Int64(ld), 1, dx.pointer, Int64(ld), dgain.pointer, &dsteepness, Int64(rows),
                Int64(width))
            }
            for array in [y, dx, dgain] { array.expectIntact(label) }
            #expect(firstDifference(y.elements, forward, relative: 0, absolute: 1e-6) == nil, "\(label)")
            #expect(firstDifference(dx.elements, back, relative: 1e-6, absolute: 1e-6) == nil, "\(label)")
            #expect(firstDifference(dgain.elements, gains, relative: 1e-6, absolute: 1e-6) == nil, "\(label)")
            #expect(abs(Double(dsteepness) - steep) <= 1e-6 * Double(width + 4), "\(label)")
          }
        }
      }
    }
  }
}
