import Compression
import Diagnostics
import Distribution
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import StructuredData
import Tensors
import Training

/// One fine-tuning: open, read the data, attach adapters (or copy all parameters), train, keep the best, write, report.
public struct FinetuneRun {
  public let model: ModelBundle
  /// The MODEL as it was named, which adapters remember.
  public let modelName: String
  public let data: URL
  /// Text or records to evaluate on; nil to hold out a share of the data.
  public var evaluation: URL?
  public let settings: FinetuneSettings
  public var adapterFormat = AdapterFormat.peft
  public let output: URL
  public var overwrite = false
  public var resume = false
  /// Steps between two saves of the state.
  public var saveInterval = 50
  public let interpreter: Interpreter
  let progress: FinetuneProgress?

  /// Told before the first step, after every step, and with every evaluation. What it throws ends the run; `StoppedFailure` as a stop does.
  public typealias FinetuneProgress = @Sendable (FinetuneEvent) throws -> Void

  public init(
    model: ModelBundle, named modelName: String, data: URL, settings: FinetuneSettings, output: URL, threads: Int? = nil,
    group: ProcessGroup = .alone,
    progress: FinetuneProgress? = nil
  ) {
    self.model = model
    self.modelName = modelName
    self.data = data
    self.output = output
    self.progress = progress
    interpreter = Interpreter(pool: ThreadPool(threads: threads), group: group)
    var settings = settings
    if settings.sequenceLength == 0 { settings.sequenceLength = min(512, model.graph.maximumPositions) }
    self.settings = settings
  }

  /// Trains and writes the result.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then there is no new output. A run that was stopped or killed leaves a hidden directory that `resume` continues.
  public func execute() throws -> CompressionReport {
    let start = ContinuousClock.now
    try check()
    let data = try readData()
    let place = try OutputDirectory(output, overwrite: overwrite, resume: resume, inputs: inputs, group: interpreter.group)
    if resume {
      // What a run had begun to write after its training is written again.
      place.clear(keeping: [Self.stateName, FinetuneLoop.bestPrefix])
      place.keepsPartial = TrainingState.exists(at: state(in: place))
      try place.synchronize()
    }
    do {
      let subject = try FinetuneSubject(self)
      let loop = try FinetuneLoop(run: self, subject: subject, data: data, place: place)
      try loop.train()
      return try FinetuneResult(run: self, subject: subject, loop: loop, place: place).writeTogether(since: start)
    } catch is StoppedFailure {
      throw StoppedFailure(isResumable: place.keepsPartial)
    }
  }

  func state(in place: OutputDirectory) -> URL { place.file(Self.stateName) }

  static let stateName = "state"

  private var inputs: [URL] { [model.directory, data] + model.checkpoint.files + (evaluation.map { [$0] } ?? []) }

  private func check() throws {
    try model.requirePredictions(for: "finetune")
    guard settings.sequenceLength <= model.graph.maximumPositions else {
      throw RecipeError(
        "--sequence-length \(settings.sequenceLength)", "is more than the model's \(model.graph.maximumPositions)", kind: .usage)
    }
    if settings.method == .full {
      if settings.base != nil {
        throw RecipeError(
          "--method full", "cannot train a model that is quantized first", remedy: "leave out --bits, --nf4 and recipes that quantize",
          kind: .usage)
      }
      if let parameter = model.graph.parameters.first(where: \.isQuantized) {
        throw RecipeError(
          "--method full", "cannot train \(parameter.name), which is quantized",
          remedy: "train adapters, or start from the unquantized model", kind: .usage)
      }
    }
    try OutputDirectory.check(output, overwrite: overwrite, inputs: inputs, group: interpreter.group)
  }

  private func readData() throws -> FinetuneData {
    let tokenizer = try model.tokenizer()
    let template = try ChatTemplate.read(from: model.directory)
    let encoder = try ExampleEncoder(
      tokenizer: tokenizer, chatTemplate: template, endOfText: endOfText(tokenizer), maximumLength: settings.sequenceLength)
    let found = try FinetuneData(data, evaluation: evaluation, encoder: encoder, settings: settings)
    let vocabulary = model.graph.vocabularySize
    if let token = (found.rows + found.heldOut).lazy.flatMap(\.tokens).first(where: { Int($0) >= vocabulary }) {
      throw TrainingError(
        data.path, "gives the token \(token), the model has \(vocabulary)", remedy: "use the tokenizer.json that belongs to the model")
    }
    return found
  }

  /// What the model ends texts with: the tokenizer's word for it, or the configuration's number.
  private func endOfText(_ tokenizer: Tokenizer) throws -> Int32? {
    let (files, settings) = (try CheckpointDirectory(model.directory), "tokenizer_config.json")
    if files.contains(settings) {
      let special = ChatTemplate.specialTokens(of: try JSONFile.read(files.file(settings)))
      if let text = special["eos_token"]?.string, let id = tokenizer.id(of: text) { return id }
    }
    let value = model.configuration["eos_token_id"]
    let id = value?.integer ?? value?.array?.first?.integer
    return id.flatMap(Int32.init(exactly:)).flatMap { $0 >= 0 && Int($0) < model.graph.vocabularySize ? $0 : nil }
  }

  /// Of everything that the result depends on.
  func identity(_ subject: FinetuneSubject, _ data: FinetuneData) throws -> String {
    var digest = ContentDigest()
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    digest.update("\(Tool.version)\n\(try model.contentDigest())\n\(try FileDigest.hexadecimal(of: self.data))\n")
    digest.update(model.configuration.text(pretty: false))
    // Tokens, not only the files: a tokenizer or a chat template that changed, or a date in it, makes others.
    for row in data.rows + data.heldOut {
      row.tokens.withUnsafeBytes { digest.update($0) }
      row.isTarget.withUnsafeBytes { digest.update($0) }
    }
    if let evaluation { digest.update("\(try FileDigest.hexadecimal(of: evaluation))\n") }
    digest.update(String(decoding: try encoder.encode(settings), as: UTF8.self))
    return digest.hexadecimal()
  }
}

/// What a run tells on the way.
public enum FinetuneEvent: Sendable {
  /// Where adapters start is being found, layer by layer.
  case starting(layer: Int, layers: Int)
  /// What is about to be trained.
  case started(parameters: Int, examples: Int, heldOut: Int, steps: Int, resumedAt: Int)
  case step(TrainingStep, steps: Int, tokensPerSecond: Double, secondsLeft: Double)
  case evaluated(loss: Double, step: Int, isBest: Bool)
  /// How far the training is, evaluations included.
  case working(StageProgress)
}
