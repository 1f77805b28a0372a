import CKernels
import Execution
import Foundation

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
public struct AdamWSettings: Codable, Sendable, Hashable {
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float
  public var weightDecay: Float
  public var states: StatePrecision

  public init(
    beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, weightDecay: Float = 0.01, states: StatePrecision = .float32
  ) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.states = states
  }
}

/// Something that training changes, in float32, whatever it is computed with (a master copy).
public final class Variable: Sendable {
  /// Unique within a run; what its state is saved as.
  public let name: String
  public let values: Matrix
  /// Whether weight decay applies.
  public let decays: Bool
  /// What the learning rate is multiplied by.
  public let rate: Float

  public init(_ name: String, _ values: Matrix, decays: Bool = true, rate: Float = 1) {
    self.name = name
    self.values = values
    self.decays = decays
    self.rate = rate
  }
}

/// The optimizer of a run, with its state.
final class AdamW {
  let settings: AdamWSettings
  let variables: [Variable]
  /// Steps that were made.
  private(set) var steps = 0
  private let moments: [Moments]

  init(_ variables: [Variable], settings: AdamWSettings) {
    self.settings = settings
    self.variables = variables
    moments = variables.map { Moments(count: $0.values.rows * $0.values.columns, precision: settings.states) }
  }

  /// - Parameters:
  ///   - gradients: of each variable; one without is left as it is.
  ///   - factor: what gradients are multiplied by.
  func step(_ gradients: [Matrix?], learningRate: Float, factor: Float, pool: ThreadPool) {
    steps += 1
    for (index, variable) in variables.enumerated() {
      guard let gradient = gradients[index] else { continue }
      let step = dso_adamw(
        learning_rate: learningRate * variable.rate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
        weight_decay: variable.decays ? settings.weightDecay : 0, correction1: Float(1 - pow(Double(settings.beta1), Double(steps))),
        correction2: Float(1 - pow(Double(settings.beta2), Double(steps))), gradient_factor: factor)
      moments[index].step(step, gradient: gradient, values: variable.values, pool: pool)
    }
  }

  /// Everything that the next step depends on, by name: the variables and their moments.
  var state: [(name: String, bytes: UnsafeMutableRawBufferPointer)] {
    zip(variables, moments).flatMap { variable, moments in
      [(variable.name, variable.values.bytes)]
        + zip(["first", "second"], moments.parts).map { ("\(variable.name).\($0)", $1) }
    }
  }

  func resume(at steps: Int) { self.steps = steps }
}

/// The length of all gradients together, summed in a fixed order.
func gradientNorm(_ gradients: [Matrix?]) -> Double {
  gradients.reduce(0.0) { sum, gradient in
    gradient.map { sum + dso_gradient_square($0.pointer, Int64($0.rows * $0.columns)) } ?? sum
  }.squareRoot()
}
