import Execution
import Foundation
import StructuredData
import Testing

@testable import Training

/// The optimizer, clipping and schedules against PyTorch (make-training-goldens.py).
@Suite struct OptimizerTests {
  private let golden: JSONValue
  private let pool = ThreadPool(threads: 2)

  init() throws {
    let file = try #require(Bundle.module.url(forResource: "TrainingFixtures/optimizer", withExtension: "json"))
    golden = try JSONValue(parsing: String(contentsOf: file, encoding: .utf8))
  }

  private func floats(_ value: JSONValue?) -> [Float] { value?.array?.compactMap { $0.double.map(Float.init) } ?? [] }

  private func matrix(_ values: [Float]) -> Matrix {
    let matrix = Matrix(rows: 1, columns: values.count)
    for (index, value) in values.enumerated() { matrix.pointer[index] = value }
    return matrix
  }

  @Test func stepsAreThoseOfPyTorch() throws {
    let cases = try #require(golden["adamw"]?.array)
    #expect(cases.count == 2)
    for part in cases {
      let options = try #require(part["settings"])
      let betas = floats(options["betas"])
      let settings = AdamWSettings(
        beta1: betas[0], beta2: betas[1], epsilon: floats(.array([try #require(options["eps"])]))[0],
        weightDecay: floats(.array([try #require(options["weight_decay"])]))[0])
      let rate = floats(.array([try #require(options["lr"])]))[0]
      let variable = Variable("x", matrix(floats(part["before"])))
      let optimizer = AdamW([variable], settings: settings)
      for (gradient, after) in zip(part["gradients"]?.array ?? [], part["after"]?.array ?? []) {
        // A factor that is undone by the gradients' size.
        let scaled = floats(gradient).map { $0 * 4 }
        optimizer.step([matrix(scaled)], learningRate: rate, factor: 0.25, pool: pool)
        let expectations = floats(after)
        for (index, expected) in expectations.enumerated() {
          #expect(abs(variable.values.pointer[index] - expected) <= 2e-7 * max(1, abs(expected)), "\(index)")
        }
      }
      #expect(optimizer.steps == 6)
    }
  }

  @Test func gradientsAreShortenedAsPyTorchDoes() throws {
    for part in try #require(golden["clip"]?.array) {
      let before = try #require(part["before"]?.array).map { matrix(floats($0)) }
      let norm = gradientNorm(before + [nil])
      #expect(abs(norm - (part["norm"]?.double ?? .nan)) < 1e-6)
      let limit = Float(part["limit"]?.double ?? .nan)
      let factor = Trainer.clippingFactor(norm: norm, limit: limit)
      for (gradient, after) in zip(before, try #require(part["after"]?.array)) {
        for (index, expected) in floats(after).enumerated() { #expect(abs(gradient.pointer[index] * factor - expected) < 1e-6) }
      }
    }
    #expect(Trainer.clippingFactor(norm: 1e9, limit: 0) == 1)
    let (unknown, infinite) = (gradientNorm([matrix([1, .nan])]), gradientNorm([matrix([1, -.infinity])]))
    #expect(!unknown.isFinite && !infinite.isFinite)
  }

  @Test(arguments: [
    ("cosine", LearningRateSchedule(.cosine, peak: 0.3), 40),
    ("cosine with a floor", LearningRateSchedule(.cosine, peak: 0.3, floor: 0.1), 40),
    ("warm restarts", LearningRateSchedule(.cosine, peak: 0.3, cycles: 3), 30),
    ("growing restarts", LearningRateSchedule(.cosine, peak: 0.3, cycles: 3, cycleGrowth: 2), 70),
    ("linear", LearningRateSchedule(.linear, peak: 0.3), 40),
    ("warm-up, cosine", LearningRateSchedule(.cosine, peak: 0.3, warmup: 8), 48),
  ])
  func ratesAreThoseOfPyTorch(_ name: String, _ schedule: LearningRateSchedule, _ steps: Int) throws {
    let expected = floats(golden["schedules"]?[name])
    try #require(expected.count == steps)
    for (step, rate) in expected.enumerated() {
      #expect(abs(schedule.rate(at: step, of: steps) - rate) < 1e-6, "\(name), step \(step)")
    }
    #expect(LearningRateSchedule(.constant, peak: 0.3, warmup: 2).rate(at: 9, of: 10) == 0.3)
  }

  /// States of a byte: 3 % of a step's length away from exact ones after 30 steps, whatever the number of threads.
  @Test func narrowStatesFollowWideOnes() {
    func run(_ states: StatePrecision, threads: Int) -> [Float] {
      var random = SystemSequence()
      let variable = Variable("x", matrix((0..<1000).map { _ in random.next() }))
      let optimizer = AdamW([variable], settings: AdamWSettings(weightDecay: 0, states: states))
      let pool = ThreadPool(threads: threads)
      for _ in 0..<30 {
        optimizer.step([matrix((0..<1000).map { Float($0 % 7) * 0.01 + random.next() })], learningRate: 0.01, factor: 1, pool: pool)
      }
      return (0..<1000).map { variable.values.pointer[$0] }
    }
    let (wide, narrow) = (run(.float32, threads: 2), run(.int8, threads: 2))
    #expect(narrow == run(.int8, threads: 1) && narrow == run(.int8, threads: 3) && wide == run(.float32, threads: 1))
    let difference = zip(wide, narrow).reduce(0.0) { $0 + pow(Double($1.0 - $1.1), 2) }.squareRoot()
    let size = wide.reduce(0.0) { $0 + pow(Double($1), 2) }.squareRoot()
    #expect(difference > 0 && difference < 0.02 * size, "\(difference / size)")
  }

  @Test(arguments: [true, false]) func mapsAreAscendingAndHoldZero(_ signed: Bool) {
    let values = StateMap.values(signed: signed)
    let isAscending = zip(values, values.dropFirst()).allSatisfy { $0 < $1 }
    #expect(values.count == 256 && values.contains(0) && values.last == 1 && isAscending)
    #expect(signed ? values[0] < -0.99 : values[0] == 0)
  }
}

/// The same numbers for every run.
private struct SystemSequence {
  private var state: UInt32 = 7
  mutating func next() -> Float {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Float(state >> 8) / Float(1 << 23) - 1
  }
}
