import CKernels
import Foundation
import Testing

extension KernelTests {
  @Suite struct Normalization {
    static let kernels = ["dso_rms_norm", "dso_layer_norm"]

    /// The sums are in double; what remains are a few roundings to float, each 2^-24.
    @Test func matchesDoublePrecision() {
      var numbers = TestNumbers(seed: 31)
      for width in boundaries + [1000] {
        let rows = 3, ld = width + 2
        let x = numbers.floats(rows * ld, -3...5), gain = numbers.floats(width), bias = numbers.floats(width)
        let epsilon: Float = 1e-5
        var rms: [Double] = [], layer: [Double] = []
        for row in 0..<rows {
          let values = (0..<width).map { Double(x[row * ld + $0]) }
          let square = values.reduce(0) { $0 + $1 * $1 } / Double(width), mean = values.reduce(0, +) / Double(width)
          let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
          rms += values.enumerated().map { $1 / (square + Double(epsilon)).squareRoot() * Double(gain[$0]) }
          layer += values.enumerated().map { ($1 - mean) / (variance + Double(epsilon)).squareRoot() * Double(gain[$0]) + Double(bias[$0]) }
        }
        for set in allSets {
          let y = GuardedArray<Float>(count: rows * ld, canary: -77)
          func rowsOfY() -> [Float] { (0..<rows).flatMap { row in (0..<width).map { y[row * ld + $0] } } }
          with(set) { dso_rms_norm(x, Int64(ld), gain, y.pointer, Int64(ld), Int64(rows), Int64(width), epsilon) }
          #expect(firstDifference(rowsOfY(), rms, relative: 4 * 0x1p-24, absolute: 1e-30) == nil, "\(name(set)) RMS \(width)")
          #expect((0..<rows).allSatisfy { y[$0 * ld + width] == -77 })
          with(set) { dso_layer_norm(x, Int64(ld), gain, bias, y.pointer, Int64(ld), Int64(rows), Int64(width), epsilon) }
          #expect(firstDifference(rowsOfY(), layer, relative: 0, absolute: 8e-7) == nil, "\(name(set)) layer \(width)")
          y.expectIntact("\(name(set)) \(width)")
          // In place, and without bias.
          let z = GuardedArray(x, canary: -77)
          with(set) { dso_layer_norm(z.pointer, Int64(ld), gain, nil, z.pointer, Int64(ld), Int64(rows), Int64(width), epsilon) }
          let unbiased = layer.enumerated().map { $1 - Double(bias[$0 % width]) }
          let inPlace = (0..<rows).flatMap { row in (0..<width).map { z[row * ld + $0] } }
          #expect(firstDifference(inPlace, unbiased, relative: 0, absolute: 8e-7) == nil, "\(name(set)) in place \(width)")
        }
      }
    }
  }

  @Suite struct Rotary {
    static let kernels = ["dso_rotary"]

    @Test(arguments: [false, true])
    func rotatesPairs(interleaved: Bool) {
      var numbers = TestNumbers(seed: 32)
      for (headDim, rotaryDim) in [(2, 2), (8, 6), (16, 16), (33, 32), (64, 64), (80, 34), (128, 128), (130, 66), (192, 64)] {
        let rows = 3, heads = 2, ld = heads * headDim + 1, half = rotaryDim / 2
        let x = numbers.floats(rows * ld)
        let angles = numbers.floats(rows * half, -7...7)
        let cosines = angles.map { cosf($0) }, sines = angles.map { sinf($0) }
        var expected = x.map(Double.init)
        for row in 0..<rows {
          for head in 0..<heads {
            for i in 0..<half {
              let base = row * ld + head * headDim
              let (a, b) = interleaved ? (base + 2 * i, base + 2 * i + 1) : (base + i, base + half + i)
              let c = Double(cosines[row * half + i]), s = Double(sines[row * half + i])
              expected[a] = Double(x[a]) * c - Double(x[b]) * s
              expected[b] = Double(x[b]) * c + Double(x[a]) * s
            }
          }
        }
        for set in allSets {
          let y = GuardedArray(x, canary: -77)
          with(set) {
            dso_rotary(
              y.pointer, Int64(ld), Int64(rows), Int64(heads), Int64(headDim), Int64(rotaryDim), interleaved ? 1 : 0, cosines, sines,
              Int64(half))
          }
          y.expectIntact("\(name(set)) \(headDim)")
          // Two products of magnitude 2 and a sum: three roundings.
          #expect(firstDifference(y.elements, expected, relative: 0, absolute: 4e-7) == nil, "\(name(set)) \(headDim) \(rotaryDim)")
        }
      }
    }
  }

  @Suite struct Activations {
    static let kernels = ["dso_gated_activation", "dso_add"]

    static func exact(_ kind: dso_activation, _ x: Double) -> Double {
      switch kind {
      case DSO_ACTIVATION_SILU: return x / (1 + exp(-x))
      case DSO_ACTIVATION_GELU_TANH: return 0.5 * x * erfcOfTanh(x)
      case DSO_ACTIVATION_GELU_ERF: return 0.5 * x * erfc(-x * 0.5.squareRoot())
      case DSO_ACTIVATION_RELU_SQUARED: return max(x, 0) * max(x, 0)
      default: return max(x, 0)
      }
    }

    /// 1 + tanh(u) without the cancellation below zero.
    private static func erfcOfTanh(_ x: Double) -> Double {
      let u = (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
      return 2 / (1 + exp(-2 * u))
    }

    /// Relative 4e-7 where the result matters. Far below zero the exponent of GELU (tanh) is a float of magnitude t, whose rounding alone
    /// moves the result by t * 2^-23, relatively; so there an absolute error far below float's resolution at 1 is allowed.
    @Test(
      arguments: [
        DSO_ACTIVATION_SILU, DSO_ACTIVATION_GELU_TANH, DSO_ACTIVATION_GELU_ERF, DSO_ACTIVATION_RELU, DSO_ACTIVATION_RELU_SQUARED,
      ].map(\.rawValue))
    func matchesDoublePrecision(kind raw: UInt32) {
      let kind = dso_activation(rawValue: numericCast(raw))
      var numbers = TestNumbers(seed: 33)
      for count in boundaries + [4000] {
        let gate = numbers.floats(count, -12...12), up = numbers.floats(count)
        for set in allSets {
          for gated in [false, true] {
            let y = GuardedArray<Float>(count: count, canary: -77)
            with(set) { dso_gated_activation(kind, gate, gated ? up : nil, y.pointer, Int64(count)) }
            y.expectIntact("\(name(set)) \(raw)")
            let expected = (0..<count).map { Self.exact(kind, Double(gate[$0])) * (gated ? Double(up[$0]) : 1) }
            #expect(firstDifference(y.elements, expected, relative: 4e-7, absolute: 4e-9) == nil, "\(name(set)) \(raw) \(count)")
          }
          let inPlace = GuardedArray(gate, canary: -77)
          with(set) { dso_gated_activation(kind, inPlace.pointer, up, inPlace.pointer, Int64(count)) }
          let expected = (0..<count).map { Self.exact(kind, Double(gate[$0])) * Double(up[$0]) }
          #expect(firstDifference(inPlace.elements, expected, relative: 4e-7, absolute: 4e-9) == nil, "\(name(set)) \(raw) in place")
        }
      }
    }

    @Test func edgesKeepTheirMeaning() {
      let edges: [Float] = [0, -0.0, 1e-30, -1e-30, 88, -88, 104, -104, 1e4, -1e4, 3e38, .infinity, .nan]
      for set in allSets {
        for kind in [DSO_ACTIVATION_SILU, DSO_ACTIVATION_GELU_TANH, DSO_ACTIVATION_GELU_ERF, DSO_ACTIVATION_RELU] {
          var y = [Float](repeating: -77, count: edges.count)
          with(set) { dso_gated_activation(kind, edges, nil, &y, Int64(edges.count)) }
          for (x, result) in zip(edges, y) {
            if x.isNaN {
              #expect(result.isNaN, "\(name(set)) \(kind.rawValue)")
            } else if x >= 88 {
              #expect(result == x, "\(name(set)) \(kind.rawValue) of \(x)")
            } else if x <= -88 {
              #expect(abs(result) < 1e-35, "\(name(set)) \(kind.rawValue) of \(x)")
            } else {
              #expect(abs(result) <= abs(x), "\(name(set)) \(kind.rawValue) of \(x)")
            }
          }
        }
      }
    }

    @Test func addsInPlace() {
      var numbers = TestNumbers(seed: 34)
      for count in boundaries {
        let x = numbers.floats(count), before = numbers.floats(count)
        for set in allSets {
          let y = GuardedArray(before, canary: -77)
          with(set) { dso_add(x, y.pointer, Int64(count)) }
          y.expectIntact("\(name(set)) add")
          #expect(y.elements == zip(x, before).map { $1 + $0 }, "\(name(set)) \(count)")
        }
      }
    }
  }
}
