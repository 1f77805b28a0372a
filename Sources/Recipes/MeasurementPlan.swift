import Diagnostics
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// A text that has been read and tokenized, ready to measure on.
public struct MeasurementPlan: Sendable {
  public let text: EvaluationText
  /// SHA-256 of the file.
  public let digest: String
  let measuresSpeed: Bool
  let keyValueCache: KeyValueQuantization
  let arithmetic: Arithmetic
  /// Rows of a batch, when the settings say how many windows run together.
  let batchRows: Int?

  /// Reads and tokenizes the text with the model's own tokenizer. Throws when it is shorter than one window.
  public init(_ settings: EvaluationSettings, model: ModelBundle) throws {
    try model.requirePredictions(for: "measuring them (leave that out with --no-eval)")
    let tokenizer = try model.tokenizer()
    let maximum = model.graph.maximumPositions
    let context = settings.context ?? min(512, maximum)
    guard context <= maximum else {
      throw RecipeError(
        "--sequence-length", "of \(context) is beyond the model's \(maximum) positions", remedy: "use at most \(maximum)", kind: .usage)
    }
    let passages = try TextFile.readPassages(settings.text)
    let tokens = tokenizer.encode(passages.text)
    if let stray = tokens.first(where: { $0 < 0 || Int($0) >= model.graph.vocabularySize }) {
      throw RecipeError(
        "tokenizer.json", "gives the token \(stray), the model's vocabulary has \(model.graph.vocabularySize)",
        remedy: "use the tokenizer.json that belongs to the model", kind: .badData)
    }
    text = try EvaluationText(name: settings.text.lastPathComponent, tokens: tokens, context: context, limit: settings.tokens)
    digest = passages.digest
    measuresSpeed = settings.measuresSpeed
    keyValueCache = settings.keyValueCache
    arithmetic = settings.arithmetic
    batchRows = settings.batchSize.map { $0 * context }
  }

  /// What every figure on this text is measured with: it alone knows the arithmetic and the batches that were asked for.
  func evaluator(_ interpreter: Interpreter, within maximumMemory: Int?, progress: ProgressHandler? = nil) -> Evaluator {
    Evaluator(interpreter: interpreter.computing(in: arithmetic), progress: progress).limited(to: maximumMemory, batch: batchRows)
  }
}
