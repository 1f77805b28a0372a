import Diagnostics
import Execution
import ModelGraph

/// Knowledge distillation in three stages, each optional, each kept only where it helps on held-out text: hidden states are aligned with the
/// teacher's; then predictions, first by its distributions on given text, then on text that the student itself writes; then predictions under
/// perturbed embeddings, typing errors and on what the student finds hardest. Trains the whole student in memory.
public struct Distillation: RecipePass {
  public static let identifier = "distill"
  public static let contract = PassContract(forbids: [.adapters, .zeroWeights, .smoothedFeatures, .rotatedFeatures])

  /// The MODEL to learn from; empty for the one that the recipe began on.
  public var teacher = ""
  /// The text to learn from, `.txt` or `.jsonl`; empty for the recipe's calibration text.
  public var data = ""
  /// Steps of the first stage: alignment of hidden states; 0 leaves it out.
  public var featureSteps = 100
  /// Steps of the second: the teacher's distributions.
  public var logitSteps = 500
  /// Steps on text of the student's own.
  public var policySteps = 60
  /// Steps of the third: perturbed embeddings, typing errors, the hardest windows.
  public var robustnessSteps = 200
  /// Windows of a step.
  public var batchWindows = 16
  /// Tokens a window, at most the model's maximum.
  public var sequenceLength = 256
  /// The peak of the learning rate: of the first stage and where the second begins; it falls towards the end of the last.
  public var learningRate: Float = 3e-4
  /// What both distributions are softened by.
  public var temperature: Float = 1
  /// The share of the text's own next token in the target distribution.
  public var textWeight: Float = 0
  /// The teacher's likeliest tokens that are kept of each distribution; the others count as one.
  public var topTokens = 128
  /// Which of the teacher's layers each layer of the student is aligned with, from 0; empty to spread them evenly. Of the student's layers four at
  /// most are aligned, the last among them.
  public var layers: [Int] = []
  /// How far embeddings are moved in training, as a share of the root mean square of their length.
  public var epsilon: Float = 0.05
  /// What learning with moved embeddings counts beside learning without.
  public var perturbationWeight: Float = 0.2
  /// Seeds that every combination of stages is tried with for the report's ablation; 0 for none.
  public var ablationSeeds = 0
  /// What products are computed in while training.
  public var precision = ProductPrecision.bfloat16

  public init() {}

  public init(teacher: String = "", data: String = "") { (self.teacher, self.data) = (teacher, data) }

  private enum CodingKeys: String, CodingKey {
    case teacher, data, temperature, layers, epsilon, precision
    case featureSteps = "feature-steps"
    case logitSteps = "logit-steps"
    case policySteps = "policy-steps"
    case robustnessSteps = "robustness-steps"
    case batchWindows = "batch-windows"
    case sequenceLength = "sequence-length"
    case learningRate = "learning-rate"
    case textWeight = "text-weight"
    case topTokens = "top-tokens"
    case perturbationWeight = "perturbation-weight"
    case ablationSeeds = "ablation-seeds"
  }

  /// Steps of the optimizer in all; beyond what can be, where one of them is.
  public var steps: Int {
    [featureSteps, logitSteps, policySteps, robustnessSteps].reduce(0) { sum, count in
      let (result, overflow) = sum.addingReportingOverflow(count)
      return overflow ? .max : result
    }
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    func check(_ holds: Bool, _ option: String, _ problem: String, _ remedy: String) throws(CompressionError) {
      guard holds else { throw CompressionError("\(Self.identifier): \(option)", problem, remedy: remedy, kind: .usage) }
    }
    for (name, count) in [
      ("feature-steps", featureSteps), ("logit-steps", logitSteps), ("policy-steps", policySteps), ("robustness-steps", robustnessSteps),
    ] {
      try check((0...1 << 24).contains(count), name, "\(count) is not from 0 to \(1 << 24)", "use fewer steps")
    }
    try check(steps > 0, "steps", "are none", "give steps to one stage at least")
    try check((1...1024).contains(batchWindows), "batch-windows", "\(batchWindows) is not from 1 to 1024", "16 is usual")
    try check(
      sequenceLength >= 8 && sequenceLength <= graph.maximumPositions, "sequence-length",
      "\(sequenceLength) is not from 8 to the model's \(graph.maximumPositions)", "use a length within")
    try check(
      learningRate.isFinite && learningRate > 0 && learningRate <= 1, "learning-rate", "\(learningRate) is not above 0, or above 1",
      "3e-4 suits small models, 1e-5 to 1e-4 large ones")
    try check(
      temperature.isFinite && (0.1...20).contains(temperature), "temperature", "\(temperature) is not from 0.1 to 20", "1 to 2 are usual")
    try check((0...0.9).contains(textWeight), "text-weight", "\(textWeight) is not from 0 to 0.9", "0 to 0.5 are usual")
    try check((1...4096).contains(topTokens), "top-tokens", "\(topTokens) is not from 1 to 4096", "128 is usual")
    try check(epsilon.isFinite && (0...1).contains(epsilon), "epsilon", "\(epsilon) is not from 0 to 1", "0.01 to 0.1 are usual")
    try check(
      perturbationWeight.isFinite && (0...10).contains(perturbationWeight), "perturbation-weight",
      "\(perturbationWeight) is not from 0 to 10",
      "0.1 to 1 are usual")
    try check((0...100).contains(ablationSeeds), "ablation-seeds", "\(ablationSeeds) is not from 0 to 100", "3 show what chance does")
    let count = graph.layerBlocks.count
    try check(
      layers.isEmpty || layers.count == count, "layers", "names \(layers.count) layers, the student has \(count)", "name one for each")
  }
}
