import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// Continues a text with a model, token by token.
public struct TextGenerator {
  /// How long the two phases took.
  public struct Statistics: Sendable {
    public var promptTokens = 0
    public var generatedTokens = 0
    public var prefillSeconds = 0.0
    public var decodeSeconds = 0.0
    /// What a token takes in the cache of keys and values, and what it takes in a float32 one.
    public var cacheBytesPerToken = 0
    public var floatCacheBytesPerToken = 0
  }

  /// What progress calls the tokens that come.
  public static let decodingStage = "Generating"

  private let model: ModelBundle
  private let tokenizer: Tokenizer
  private let interpreter: Interpreter
  private var sampling: Sampling
  private let stops: Set<Int32>
  private let keyValues: KeyValueQuantization

  public init(
    model: ModelBundle, threads: Int? = nil, sampling: Sampling = Sampling(), keyValues: KeyValueQuantization = .none,
    arithmetic: Arithmetic = .float32
  ) throws {
    try model.requirePredictions(for: "generate")
    self.model = model
    self.keyValues = keyValues
    tokenizer = try model.tokenizer()
    interpreter = Interpreter(pool: ThreadPool(threads: threads)).computing(in: arithmetic)
    self.sampling = sampling
    stops = Self.stopTokens(model)
  }

  /// `eos_token_id` of generation_config.json and config.json: a number or a list.
  private static func stopTokens(_ model: ModelBundle) -> Set<Int32> {
    var stops = Set<Int32>()
    let generation = try? JSONFile.read(CheckpointDirectory(model.directory).file("generation_config.json"))
    for value in [generation?["eos_token_id"], model.configuration["eos_token_id"]] {
      for id in value?.array ?? [value ?? .null] {
        if let id = id.integer.flatMap(Int32.init(exactly:)) { stops.insert(id) }
      }
    }
    return stops
  }

  /// Hands out text as it comes, until an end-of-text token, `maximumTokens`, or the model's last position.
  /// - Parameter progress: told of the prompt, then of the tokens that come.
  public mutating func generate(
    from prompt: String, maximumTokens: Int, progress: ProgressHandler? = nil, onText: (String) -> Void
  ) throws -> Statistics {
    let tokens = tokenizer.encode(prompt)
    let room = model.graph.maximumPositions - tokens.count
    guard !tokens.isEmpty, room > 0 else {
      throw RecipeError(
        "prompt", "has \(tokens.count) tokens, the model \(model.graph.maximumPositions) positions", remedy: "give a prompt that fits",
        kind: .usage)
    }
    let limit = min(maximumTokens, room)
    let session = try DecodingSession(
      graph: model.graph, interpreter: interpreter, capacity: tokens.count + limit, keyValues: keyValues)
    let clock = ContinuousClock()
    var statistics = Statistics()
    statistics.promptTokens = tokens.count
    statistics.cacheBytesPerToken = keyValues.bytesPerToken(of: model.graph)
    statistics.floatCacheBytesPerToken = KeyValueQuantization.none.bytesPerToken(of: model.graph)
    var logits: [Float] = []
    let reading = WorkMeter(
      "Reading the prompt", costs: model.graph.blocks.map { model.graph.operations(of: $0, tokens: tokens.count) }, tokens: tokens.count,
      progress: progress)
    reading.begin(0)
    statistics.prefillSeconds = try clock.measure { logits = try session.append(tokens) { reading.begin($0) } }.seconds
    reading.finish()
    var decoder = tokenizer.makeStreamDecoder()
    let start = clock.now
    for step in 0..<limit {
      let next = sampling.next(logits)
      if stops.contains(next) { break }
      statistics.generatedTokens += 1
      progress?(StageProgress(stage: Self.decodingStage, completed: step + 1, total: limit, tokens: step + 1))
      let text = decoder.append(next)
      if !text.isEmpty { onText(text) }
      if step + 1 < limit { logits = try session.append([next]) }
    }
    let rest = decoder.finish()
    if !rest.isEmpty { onText(rest) }
    statistics.decodeSeconds = start.duration(to: clock.now).seconds
    return statistics
  }
}
