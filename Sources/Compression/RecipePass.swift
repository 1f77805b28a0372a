import ModelGraph

/// One step of a recipe, as a value: its stored properties are its options, in Swift and in YAML alike.
///
/// Quantization, pruning, distillation and adapters all conform; they differ in what their contract asks for, and in how they are run: a
/// ``CompressionPass`` together with those beside it, block by block; any other one as a stage of its own, from checkpoint to checkpoint.
public protocol RecipePass: Codable, Sendable, Equatable {
  /// The key in a recipe, in kebab-case: `round-to-nearest`.
  static var identifier: String { get }
  /// What must hold before the pass, and what it brings about.
  static var contract: PassContract { get }
  /// What a run has to provide for these options.
  var needs: Set<PassNeed> { get }
  /// The defaults.
  init()
  /// An option that no model could do with; nil when there is none.
  var mistake: OptionMistake? { get }
  /// Checks the options against the graph before any weight is read.
  func validate(for graph: ModelGraph) throws(CompressionError)
}

extension RecipePass {
  public var needs: Set<PassNeed> { [] }
  public var mistake: OptionMistake? { (self as? any QuantizingPass)?.targets.mistake }
}

/// An option whose value is wrong whatever the model is, so that a recipe can be refused by its line.
public struct OptionMistake: Sendable, Hashable {
  /// The key in a recipe; empty where it is the whole.
  public var option: String
  public var problem: String
  public var remedy: String

  public init(_ option: String, _ problem: String, remedy: String) { (self.option, self.problem, self.remedy) = (option, problem, remedy) }
}

/// A pass whose options say which weights are quantized, and how.
public protocol QuantizingPass: RecipePass {
  var targets: QuantizationTargets { get }
}

/// What a pass may ask of a run beyond the weights.
public enum PassNeed: Sendable, Hashable {
  /// Calibration text, sent through each block before the pass works on it.
  case calibration
  /// The activations of the uncompressed model beside those behind compressed blocks.
  case referenceActivations
  /// What the model's output distribution feels of every layer's output (`OutputSensitivity`), which takes a backward pass over the
  /// calibration text.
  case gradients
  /// Histograms of the inputs of linear layers (`BlockCalibration.histograms`).
  case inputHistograms
  /// What int8 inputs do to the output of every layer (`InputErrors`), measured on the uncompressed model before the output is laid out.
  case inputErrors
  /// The whole model trained (`TrainedWeights`) on calibration text, before the output is written.
  case training
}

/// What passes promise and ask of each other; a recipe is checked by these before any weight is read.
public struct PassContract: Sendable, Hashable {
  /// A state of the model that a pass brings about.
  public enum Property: String, Sendable, Hashable {
    case quantizedWeights = "quantized weights"
    case prunedChannels = "pruned channels"
    case zeroWeights = "weights set to zero"
    case adapters
    case smoothedFeatures = "smoothed features"
    case rotatedFeatures = "rotated features"
  }

  public var establishes: Set<Property>
  /// Properties that an earlier pass or the input must not have.
  public var forbids: Set<Property>
  /// Properties that an earlier pass must have brought about, or the input must have.
  public var requires: Set<Property>
  /// Whether no pass may come before it, because it changes the model that all others are about.
  public var comesFirst: Bool

  public init(
    establishes: Set<Property> = [], forbids: Set<Property> = [], requires: Set<Property> = [], comesFirst: Bool = false
  ) {
    self.establishes = establishes
    self.forbids = forbids
    self.requires = requires
    self.comesFirst = comesFirst
  }
}
