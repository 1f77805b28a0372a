/// How a kind of work is divided among several processes.
public enum WorkDivision: String, Sendable, CaseIterable {
  /// Each layer is worked on by whoever had the least to quantize and to write so far.
  case layers
  /// The layers of a block, those together that read the same.
  case inputs
  /// Windows of the calibration text, a batch each in turn.
  case calibrationText = "calibration-text"
  /// The outputs of every layer that text runs through, and experts.
  case outputs
  /// Rows of sums over what a layer reads.
  case sums
  /// Windows of the text that accuracy is measured on, a batch each in turn.
  case evaluationText = "evaluation-text"
  /// Written weights, each in turn.
  case weights
  /// Weights on their way to the disk: by who made them, or by whoever wrote the fewest bytes so far.
  case writing
  /// Files, each by whoever had the fewest bytes so far.
  case files
  /// Not at all: every process does the same.
  case everyRank = "every-rank"
  /// Not at all: the first process does it, and the others wait for what they need of it.
  case firstRank = "first-rank"

  /// In a plan.
  public var text: String {
    switch self {
    case .layers: "divided by layers"
    case .inputs: "divided by inputs of a block's layers"
    case .calibrationText: "divided by calibration windows"
    case .outputs: "divided by outputs of layers, and by experts"
    case .sums: "divided by rows of the sums"
    case .evaluationText: "divided by evaluation windows"
    case .weights: "divided by weights"
    case .writing: "divided by bytes written"
    case .files: "divided by files"
    case .everyRank: "every rank alike"
    case .firstRank: "rank 0 alone"
    }
  }
}
