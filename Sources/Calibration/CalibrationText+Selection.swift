import Diagnostics
import Evaluation
import Foundation
import ModelGraph
import Tensors

extension CalibrationText {
  /// Chooses the windows that a model is calibrated on.
  /// - Parameters:
  ///   - evaluator: grades the candidates when the strategy asks for it.
  ///   - tokenize: the model's tokenizer, given pieces of plain text or of documents, and whether a document starts with the piece: only
  ///     then are there special tokens to be added. Plain text never starts one.
  /// - Throws: `CalibrationError` when the settings or the text will not do, and what the tokenizer or the model throws.
  public func selection(
    _ settings: CalibrationSettings, for model: ModelGraph, evaluator: Evaluator,
    tokenize: @escaping (_ text: String, _ startsDocument: Bool) throws -> [Int32]
  ) throws -> CalibrationSelection {
    guard settings.sequenceLength <= model.maximumPositions else {
      throw CalibrationError(
        "--sequence-length", "of \(settings.sequenceLength) is beyond the model's \(model.maximumPositions) positions",
        remedy: "use at most \(model.maximumPositions)", kind: .usage)
    }
    return try selection(settings) { text, startsDocument in
      let tokens = try tokenize(text, startsDocument)
      if let stray = tokens.first(where: { $0 < 0 || Int($0) >= model.vocabularySize }) {
        throw CalibrationError(
          "tokenizer.json", "gives the token \(stray), the model's vocabulary has \(model.vocabularySize)",
          remedy: "use the tokenizer.json that belongs to the model", kind: .badData)
      }
      return tokens
    } grade: {
      try evaluator.meanLosses(of: model, windows: $0)
    }
  }

  /// The same with a tokenizer that treats all pieces alike.
  public func selection(
    _ settings: CalibrationSettings, for model: ModelGraph, evaluator: Evaluator, tokenize: @escaping (String) throws -> [Int32]
  ) throws -> CalibrationSelection {
    try selection(settings, for: model, evaluator: evaluator) { text, _ in try tokenize(text) }
  }

  /// Chooses windows with any tokenizer and any grade.
  /// - Parameters:
  ///   - tokenize: given a piece of text, and whether a document starts with it.
  ///   - grade: the mean negative log-likelihood of every candidate in nats per token; not called by the strategy `random`.
  public func selection(
    _ settings: CalibrationSettings, tokenize: @escaping (_ text: String, _ startsDocument: Bool) throws -> [Int32],
    grade: ([[Int32]]) throws -> [Double]
  ) throws -> CalibrationSelection {
    try settings.validate()
    return try selection(settings, from: try FilePieces(file), tokenize: tokenize, grade: grade)
  }

  /// The same with a tokenizer that treats all pieces alike.
  public func selection(
    _ settings: CalibrationSettings, tokenize: @escaping (String) throws -> [Int32], grade: ([[Int32]]) throws -> [Double]
  ) throws -> CalibrationSelection {
    try selection(settings, tokenize: { text, _ in try tokenize(text) }, grade: grade)
  }

  func selection(
    _ settings: CalibrationSettings, from pieces: FilePieces, tokenize: @escaping (String, Bool) throws -> [Int32],
    grade: ([[Int32]]) throws -> [Double]
  ) throws -> CalibrationSelection {
    guard pieces.size == bounds.upperBound else {
      throw CalibrationError(pieces.path, "changed since it was opened", remedy: "run again when it is complete", kind: .inputOutput)
    }
    var draw = WindowDraw(text: self, pieces: pieces, settings: settings, tokenize: tokenize)
    let candidates = try draw.candidates()
    guard candidates.count >= settings.minimumWindows else {
      throw CalibrationError(
        pieces.path, "gives \(Self.windows(candidates.count, of: settings.sequenceLength)), at least \(settings.minimumWindows) are needed",
        remedy: "give a longer text or a shorter --sequence-length", kind: .badData)
    }
    var (windows, losses, tiers) = (Array(candidates.prefix(settings.windows)), [Double](), [CalibrationSelection.Tier]())
    if settings.strategy == .tiers {
      let graded = try grade(candidates)
      guard graded.count == candidates.count, graded.allSatisfy(\.isFinite) else {
        throw CalibrationError(
          "the model", "gives the calibration text a likelihood that is not finite",
          remedy: "its weights hold NaN, infinities or values far out of range", kind: .badData)
      }
      let choice = PerplexityTiers(losses: graded, wanted: settings.windows, seed: settings.seed)
      windows = choice.chosen.map { candidates[$0] }
      losses = choice.chosen.map { graded[$0] }
      tiers = choice.tiers
    }
    return CalibrationSelection(
      name: file.lastPathComponent, digest: digest, strategy: settings.strategy, seed: settings.seed,
      sequenceLength: settings.sequenceLength, windows: windows, losses: losses, candidates: candidates.count,
      exactDuplicates: draw.filter.exactDuplicates, nearDuplicates: draw.filter.nearDuplicates, tiers: tiers,
      warnings: warnings(settings, candidates: candidates.count, draw))
  }

  private static func windows(_ count: Int, of length: Int) -> String {
    count == 1 ? "one distinct window of \(length) tokens" : "\(count) distinct windows of \(length) tokens"
  }

  private func warnings(_ settings: CalibrationSettings, candidates: Int, _ draw: WindowDraw) -> [String] {
    var warnings: [String] = []
    let name = file.lastPathComponent
    if candidates < settings.windows {
      warnings.append("\(name) gives only \(Self.windows(candidates, of: settings.sequenceLength)); \(settings.windows) were asked for")
    } else if settings.strategy == .tiers, candidates < 2 * settings.windows {
      warnings.append(
        "\(name) gives \(candidates) candidates for the \(settings.windows) windows; perplexity tiers have little to choose from")
    }
    if draw.joinedConversations {
      warnings.append("the messages of conversations in \(name) were joined as plain text, without the model's chat template")
    }
    return warnings
  }
}
