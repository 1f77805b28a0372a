import Foundation

/// The learning rate over the steps of a run: a linear warm-up to the peak, then one of several ways down.
public struct LearningRateSchedule: Codable, Sendable, Hashable {
  public enum Shape: String, Codable, Sendable, Hashable, CaseIterable {
    case constant
    case linear
    /// Half a cosine (Loshchilov & Hutter 2017, SGDR), with `cycles` above 1 with warm restarts.
    case cosine
  }

  public var shape: Shape
  /// The highest rate.
  public var peak: Float
  /// Where it ends, as a share of the peak.
  public var floor: Float
  /// Steps of the warm-up: step 0 has 1 / `warmup` of the peak.
  public var warmup: Int
  /// How often the cosine starts anew.
  public var cycles: Int
  /// How many times as long as the one before each cycle is.
  public var cycleGrowth: Float

  public init(_ shape: Shape = .cosine, peak: Float, floor: Float = 0, warmup: Int = 0, cycles: Int = 1, cycleGrowth: Float = 1) {
    self.shape = shape
    self.peak = peak
    self.floor = floor
    self.warmup = warmup
    self.cycles = cycles
    self.cycleGrowth = cycleGrowth
  }

  /// The rate of one step, counted from 0, of a run of `total`.
  public func rate(at step: Int, of total: Int) -> Float {
    if step < warmup { return peak * Float(step + 1) / Float(warmup) }
    let length = max(1, total - warmup)
    // The first step behind the warm-up has the peak, the one behind the last would have the floor.
    let progress = min(1, Double(step - warmup) / Double(length))
    let left: Double
    switch shape {
    case .constant: return peak
    case .linear: left = 1 - progress
    case .cosine: left = 0.5 * (1 + cos(.pi * progressInCycle(progress)))
    }
    return peak * (floor + (1 - floor) * Float(left))
  }

  private func progressInCycle(_ progress: Double) -> Double {
    let count = max(1, cycles)
    let lengths = (0..<count).map { pow(Double(max(0.01, cycleGrowth)), Double($0)) }
    let unit = lengths.reduce(0, +)
    var start = 0.0
    for length in lengths {
      let share = length / unit
      if progress < start + share { return (progress - start) / share }
      start += share
    }
    return 1
  }
}
