import CKernels
import Foundation

/// The values that a byte of an optimizer's state stands for: dynamic tree quantization (Dettmers et al. 2022, 2110.02861, 1.3), which
/// covers seven orders of magnitude with the most values near the largest ones.
enum StateMap {
  private static let both: (signed: dso_state_map, unsigned: dso_state_map) = (make(signed: true), make(signed: false))

  static func withBoth(_ body: (UnsafePointer<dso_state_map>, UnsafePointer<dso_state_map>) -> Void) {
    withUnsafePointer(to: both.signed) { signed in withUnsafePointer(to: both.unsigned) { body(signed, $0) } }
  }

  /// Each power of ten from 1e-6 to 1 has twice as many evenly spaced values as the one below; and there are 0 and 1.
  static func values(signed: Bool) -> [Float] {
    var values: [Double] = [0, 1]
    for exponent in 0..<7 {
      let count = signed ? 1 << exponent : 2 << exponent
      let magnitude = pow(10, Double(exponent - 6))
      for index in 0..<count {
        let value = magnitude * (0.1 + 0.9 * (Double(index) + 0.5) / Double(count))
        values.append(value)
        if signed { values.append(-value) }
      }
    }
    return values.sorted().map(Float.init)
  }

  private static func make(signed: Bool) -> dso_state_map {
    let values = values(signed: signed)
    var map = dso_state_map()
    withUnsafeMutableBytes(of: &map) { bytes in
      let floats = bytes.bindMemory(to: Float.self)
      for index in 0..<256 {
        floats[index] = values[index]
        floats[256 + index] = index < 255 ? (values[index] + values[index + 1]) / 2 : .infinity
      }
    }
    return map
  }
}
