import Diagnostics

/// Progress of a training: steps that cost alike, and checks between them that cost something else.
struct StepMeter {
  private let meter: WorkMeter
  private let interval: Int
  private let hasChecks: Bool
  /// Steps of a part: more than one where a training is so long that nobody could tell.
  private let stride: Int
  private static let mostParts = 65_536

  /// - Parameters:
  ///   - interval: steps between two checks; the first is before the first step, the last behind the last.
  ///   - stepCost: of a step.
  ///   - checkCost: of a check, in the same unit; 0 when there are none.
  init(
    _ stage: String, steps: Int, interval: Int, stepCost: Double, checkCost: Double, tokensPerStep: Int, progress: ProgressHandler?
  ) {
    self.interval = max(1, interval)
    stride = max(0, steps) / Self.mostParts + 1
    hasChecks = checkCost > 0 && stride == 1
    var costs: [Double] = []
    for step in 0..<max(0, steps) / stride {
      if hasChecks, step % self.interval == 0 { costs.append(checkCost) }
      costs.append(stepCost)
    }
    if hasChecks { costs.append(checkCost) }
    let tokens = steps.multipliedReportingOverflow(by: tokensPerStep)
    meter = WorkMeter(
      stage, costs: costs, tokens: tokens.overflow ? 0 : tokens.partialValue, isInOperations: false, progress: progress)
  }

  func begin(step: Int) { meter.begin(step / stride + (hasChecks ? step / interval + 1 : 0)) }
  func beginCheck(after steps: Int) { meter.begin(steps / stride + (hasChecks ? (steps + interval - 1) / interval : 0)) }
  func measure<Result>(_ work: () throws -> Result) rethrows -> Result { try meter.measure(work) }
  func finish() { meter.finish() }
}
