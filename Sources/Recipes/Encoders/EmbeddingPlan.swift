import Diagnostics
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import Tensors

/// Sentences that have been read and tokenized, ready to compare an encoder's embeddings on.
struct EmbeddingPlan: Sendable {
  let text: EmbeddingText
  /// SHA-256 of the file.
  let digest: String

  /// The most sentences that are compared.
  private static let limit = 1000

  /// Reads the lines of a text, the longest cut to what the model takes.
  init(_ settings: EvaluationSettings, model: ModelBundle) throws {
    let tokenizer = try model.tokenizer()
    let encoder = try SentenceEncoder(of: model)
    let maximum = min(settings.context ?? .max, encoder.maximumTokens ?? .max, model.graph.maximumPositions)
    let passages = try TextFile.readPassages(settings.text)
    var sentences: [[Int32]] = []
    var total = 0
    for line in passages.text.split(whereSeparator: \.isNewline) where sentences.count < Self.limit {
      let sentence = line.trimmingCharacters(in: .whitespaces)
      guard !sentence.isEmpty, total < settings.tokens ?? .max else { continue }
      var tokens = tokenizer.encode(sentence)
      if let stray = tokens.first(where: { $0 < 0 || Int($0) >= model.graph.vocabularySize }) {
        throw RecipeError(
          "tokenizer.json", "gives the token \(stray), the model's vocabulary has \(model.graph.vocabularySize)",
          remedy: "use the tokenizer.json that belongs to the model", kind: .badData)
      }
      // The last token ends the text, whatever of that is left out.
      if tokens.count > maximum, let last = tokens.last { tokens = tokens.prefix(maximum - 1) + [last] }
      total += tokens.count
      sentences.append(tokens)
    }
    text = try EmbeddingText(name: settings.text.lastPathComponent, sentences: sentences, pooling: encoder.pooling)
    digest = passages.digest
  }

  /// Embeds the sentences with both models.
  func section(
    of model: ModelGraph, reference: ModelGraph, interpreter: Interpreter, progress: ProgressHandler?
  ) throws -> CompressionReport.Embeddings {
    let stream = ForwardStream(interpreter: interpreter)
    let tokens = text.sentences.tokenCount
    let costs = (reference.blocks.map { (reference, $0) } + model.blocks.map { (model, $0) }).map { $0.operations(of: $1, tokens: tokens) }
    let meter = WorkMeter("Embedding", costs: costs, tokens: tokens, progress: progress)
    let (before, after) = try meter.measure {
      meter.begin(0)
      return (
        try stream.embeddings(of: reference, text) { meter.begin($0) },
        try stream.embeddings(of: model, text) { meter.begin(reference.blocks.count + $0) }
      )
    }
    meter.finish()
    let agreement = try EmbeddingAgreement(reference: before, embeddings: after, pool: interpreter.pool)
    let cosines = agreement.cosines.sorted()
    return .init(
      text: text.name, sentences: cosines.count, pooling: text.pooling.mode.rawValue,
      meanCosine: cosines.reduce(0, +) / Double(cosines.count), p1Cosine: cosines.count < 100 ? nil : cosines[cosines.count / 100],
      leastCosine: cosines[0],
      nearestAgreement: agreement.nearestAgreement, rankCorrelation: agreement.rankCorrelation)
  }
}

/// What a model is measured on: a language model's predictions, an encoder's embeddings.
enum EvaluationPlan {
  case predictions(MeasurementPlan)
  case embeddings(EmbeddingPlan)

  init(_ settings: EvaluationSettings, model: ModelBundle) throws {
    switch model.graph.purpose {
    case .languageModel: self = .predictions(try MeasurementPlan(settings, model: model))
    case .encoder:
      // Embeddings are compared in float32, whose report has no place to say otherwise.
      guard settings.arithmetic == .float32 else {
        throw RecipeError(
          "--compute \(settings.arithmetic.rawValue)", "is for what predicts tokens, and \(model.name) is an encoder",
          remedy: "leave it out: embeddings are compared in float32", kind: .usage)
      }
      self = .embeddings(try EmbeddingPlan(settings, model: model))
    }
  }

  var digest: String {
    switch self {
    case .predictions(let plan): plan.digest
    case .embeddings(let plan): plan.digest
    }
  }
}

extension ModelBundle {
  /// Refuses an encoder where next tokens are predicted.
  /// - Parameter what: that takes predictions, as the user knows it: `generate`.
  public func requirePredictions(for what: String) throws(RecipeError) {
    guard graph.purpose != .languageModel else { return }
    throw RecipeError(
      name, "is an encoder, which predicts no next token: \(what) is not for it", remedy: "quantize, convert or compare its embeddings",
      kind: .usage)
  }

  /// Writes an encoder's embeddings of a text's lines, `embeddings` `[lines, width]`, as a `.safetensors` file.
  public func saveEmbeddings(of settings: EvaluationSettings, to file: URL, pool: ThreadPool) throws {
    guard graph.purpose == .encoder else {
      throw RecipeError(name, "is no encoder: it has no embeddings of sentences", remedy: "use --save-logits", kind: .usage)
    }
    let plan = try EmbeddingPlan(settings, model: self)
    let embeddings = try ForwardStream(interpreter: Interpreter(pool: pool)).embeddings(of: graph, plan.text)
    try SafeTensorsFile.write([("embeddings", embeddings.tensor([embeddings.rows, embeddings.columns]))], to: file)
  }
}
