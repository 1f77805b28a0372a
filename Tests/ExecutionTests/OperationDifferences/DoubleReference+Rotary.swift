import Execution
import Foundation
import ModelGraph

extension DoubleReference {
  /// Pairs of features of every head turn by position times frequency; the others stay.
  func rotate(_ x: Grid, _ rotary: RotaryEmbedding) -> Grid {
    var result = x
    let (frequencies, magnitude) = Self.frequencies(rotary)
    let half = rotary.rotaryDimension / 2
    for (rows, start) in zip(sequenceRows, sequences.positions) {
      for row in rows {
        for head in 0..<rotary.heads {
          for pair in 0..<half {
            let angle = Double(start + row - rows.lowerBound) * frequencies[pair]
            let first = head * rotary.headDimension + rotary.offset + (rotary.interleaved ? 2 * pair : pair)
            let second = rotary.interleaved ? first + 1 : first + half
            result[row, first] = magnitude * (cos(angle) * x[row, first] - sin(angle) * x[row, second])
            result[row, second] = magnitude * (sin(angle) * x[row, first] + cos(angle) * x[row, second])
          }
        }
      }
    }
    return result
  }

  /// Radians per position of each pair, and what the turned features are multiplied by.
  private static func frequencies(_ rotary: RotaryEmbedding) -> (perPair: [Double], magnitude: Double) {
    let dimension = Double(rotary.rotaryDimension)
    let plain = (0..<rotary.rotaryDimension / 2).map { pow(rotary.base, -2 * Double($0) / dimension) }
    switch rotary.scaling {
    case .none: return (plain, 1)
    case .linear(let factor): return (plain.map { $0 / factor }, 1)
    case .llama3(let factor, let low, let high, let context):
      // How often a pair turns within the original context decides how much of the plain frequency it keeps.
      return (
        plain.map { frequency in
          let kept = min(max((context * frequency / (2 * Double.pi) - low) / (high - low), 0), 1)
          return kept * frequency + (1 - kept) * frequency / factor
        }, 1
      )
    case .yarn(let yarn):
      func pair(turning times: Double) -> Double {
        dimension * log(yarn.originalContext / (2 * Double.pi * times)) / (2 * log(rotary.base))
      }
      var (first, last) = (pair(turning: yarn.betaFast), pair(turning: yarn.betaSlow))
      if yarn.truncate { (first, last) = (floor(first), ceil(last)) }
      (first, last) = (max(first, 0), min(last, dimension - 1))
      let scaled = plain.enumerated().map { index, frequency in
        let kept = 1 - min(max((Double(index) - first) / (last - first), 0), 1)
        return kept * frequency + (1 - kept) * frequency / yarn.factor
      }
      func growth(_ scale: Double) -> Double { 1 + 0.1 * scale * log(max(yarn.factor, 1)) }
      if let given = yarn.attentionFactor { return (scaled, given) }
      if let scale = yarn.mscale, let all = yarn.mscaleAllDimensions { return (scaled, growth(scale) / growth(all)) }
      return (scaled, growth(1))
    }
  }
}
