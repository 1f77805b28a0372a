import Calibration
import Compression
import Diagnostics
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors
import Training

/// What a distillation works with: the teacher, windows to learn from and windows that are held out, and the teacher's distributions on disk.
final class DistillationMaterial {
  let options: Distillation
  /// Where the order of windows and everything drawn while training derive from.
  let seed: UInt64
  let interpreter: Interpreter
  let teacher: LoadedModel
  let mapping: LayerMapping
  /// Windows to learn from.
  let windows: [[Int32]]
  /// Windows that are measured on, and the same with typing errors; nil where too little was left of one.
  let heldOut: [[Int32]]
  let noisyHeldOut: [[Int32]?]
  /// Tokens that no perturbation moves.
  let specialTokens: Set<Int32>
  let textDigest: String
  let textWarnings: [String]
  private let distributions: DistributionFile
  private let misspell: (_ window: [Int32], _ seed: UInt64) -> [Int32]?

  private static let heldOutWindows = 64
  private static let leastHeldOut = 4

  /// Reads the text and draws its windows.
  /// - Parameters:
  ///   - student: its tokenizer must be the teacher's.
  ///   - seed: which windows are drawn.
  ///   - draws: what random choices in training derive from, where that is not the seed.
  init(
    _ options: Distillation, student: ModelBundle, teacher: ModelBundle, data: CalibrationPlan, seed: UInt64, interpreter: Interpreter,
    spillingTo directory: URL, draws: UInt64? = nil
  ) throws {
    (self.options, self.seed, self.interpreter) = (options, draws ?? seed, interpreter)
    self.teacher = try LoadedModel(teacher.graph)
    mapping = try LayerMapping(
      from: student.graph, to: teacher.graph, layers: options.layers.isEmpty ? nil : options.layers)
    let length = options.sequenceLength
    // More than can be drawn at once are seen more than once.
    let wanted = min(1 << 20, options.steps * options.batchWindows + Self.heldOutWindows)
    let selection = try data.selection(
      CalibrationSettings(windows: wanted, sequenceLength: length, strategy: .random, seed: seed), of: teacher, graph: teacher.graph,
      evaluator: Evaluator(interpreter: interpreter, progress: nil), seed: seed)
    let held = min(Self.heldOutWindows, max(Self.leastHeldOut, selection.windows.count / 10))
    guard selection.windows.count >= held + options.batchWindows else {
      throw CompressionError(
        data.file.path, "gives \(selection.windows.count) windows of \(length) tokens, too few to learn from",
        remedy: "give more text, or a smaller sequence length", kind: .badData)
    }
    windows = Array(selection.windows.dropFirst(held))
    heldOut = Array(selection.windows.prefix(held))
    textDigest = selection.digest
    textWarnings = Self.warnings(selection, windows: windows.count, needed: options.steps * options.batchWindows)
    let tokenizer = try teacher.tokenizer()
    try Self.check(student.tokenizer(), against: tokenizer, on: heldOut)
    specialTokens = Set(tokenizer.specialTokens)
    let vocabulary = teacher.graph.vocabularySize
    let misspell: ([Int32], UInt64) -> [Int32]? = { window, seed in
      let text = TypingErrors(seed: seed).applied(to: tokenizer.decode(window, skipSpecialTokens: true))
      let tokens = tokenizer.encode(text)
      return tokens.count >= length && tokens.allSatisfy { Int($0) < vocabulary } ? Array(tokens.prefix(length)) : nil
    }
    self.misspell = misspell
    noisyHeldOut = heldOut.enumerated().map { index, window in misspell(window, SeededRandom.value(seed: 0x7E57, index: UInt64(index))) }
    distributions = try DistributionFile(
      windowRows: length, keeping: options.topTokens, vocabulary: vocabulary, temperature: options.temperature, in: directory)
  }

  /// What was said of the text, but for what is said here of its length.
  private static func warnings(_ selection: CalibrationSelection, windows: Int, needed: Int) -> [String] {
    let others = selection.warnings.filter { !$0.contains("gives only") }
    guard windows < needed else { return others }
    let times = String(format: "%.1f", Double(needed) / Double(windows))
    return others + ["\(selection.name) gives \(windows) windows to learn from: they were seen \(times) times"]
  }

  /// Models that read a text as other tokens have nothing to say to each other.
  private static func check(_ student: Tokenizer, against teacher: Tokenizer, on windows: [[Int32]]) throws {
    for window in windows {
      let text = teacher.decode(window, skipSpecialTokens: true)
      guard student.encode(text) == teacher.encode(text) else {
        throw RecipeError(
          "teacher", "reads text as other tokens than the student", remedy: "distil between models that share a tokenizer", kind: .usage)
      }
    }
  }

  /// Windows whose distributions were asked for, at any process.
  private var asked = Set<Int>()

  /// What their distributions take on the disk; of several processes each holds some of them.
  var cacheBytes: Int { asked.count * distributions.windowBytes }

  /// Notes that some process will ask for the distributions of these windows.
  func note(_ indices: [Int]) { asked.formUnion(indices) }

  var teacherHead: Block { teacher.graph.blocks[teacher.graph.blocks.count - 1] }

  /// The windows of a step: passes over them one behind the other, each in an order of its own.
  /// - Parameter phase: phases have orders of their own.
  func indices(step: Int, phase: Int, count: Int) throws -> [Int] {
    let perEpoch = max(1, windows.count / count)
    let (epoch, place) = step.quotientAndRemainder(dividingBy: perEpoch)
    let order = try BatchOrder(count: windows.count, seed: SeededRandom.value(seed: seed, index: UInt64(phase))).order(epoch: epoch)
    return Array(order[(place * count)..<min(order.count, (place + 1) * count)])
  }

  /// A batch of windows in which every prediction but the last of each counts.
  static func batch(_ windows: [[Int32]]) -> TrainingBatch {
    TrainingBatch(windows.map { ($0, Array(repeating: true, count: $0.count)) })
  }

  /// The teacher's distributions behind every token of some windows, from the disk or computed now.
  func target(_ indices: [Int]) throws -> LossTarget {
    note(indices)
    let missing = indices.filter { !distributions.holds($0) }
    if !missing.isEmpty { try distributions.store(fresh(missing.map { windows[$0] }), for: missing) }
    return .partial(mixed(try distributions.load(indices), with: indices.flatMap { Array(windows[$0].dropFirst()) + [0] }))
  }

  /// The same for windows that are seen once.
  func target(of windows: [[Int32]]) throws -> LossTarget {
    .partial(mixed(try fresh(windows), with: windows.flatMap { Array($0.dropFirst()) + [0] }))
  }

  private func fresh(_ windows: [[Int32]]) throws -> LossTarget.PartialDistributions {
    try interpreter.distributions(
      of: teacher, tokens: windows.flatMap { $0 }, sequences: SequenceLayout(lengths: windows.map(\.count)), keeping: options.topTokens,
      temperature: options.temperature)
  }

  /// The text's own tokens given their share: a target between the teacher and the text. A token that is not among the kept ones takes the place
  /// of the least likely of them.
  private func mixed(
    _ distributions: LossTarget.PartialDistributions, with tokens: [Int32]
  ) -> LossTarget.PartialDistributions {
    let share = options.textWeight
    guard share > 0 else { return distributions }
    var result = distributions
    for (row, token) in tokens.enumerated() {
      let span = row * result.kept..<(row + 1) * result.kept
      for index in span { result.probabilities[index] *= 1 - share }
      if let index = span.first(where: { result.ids[$0] == UInt32(token) }) {
        result.probabilities[index] += share
        continue
      }
      guard let least = span.min(by: { result.probabilities[$0] < result.probabilities[$1] }) else { continue }
      (result.ids[least], result.probabilities[least]) = (UInt32(token), share)
      let order = span.sorted { result.ids[$0] < result.ids[$1] }
      let (ids, shares) = (order.map { result.ids[$0] }, order.map { result.probabilities[$0] })
      for (place, index) in span.enumerated() { (result.ids[index], result.probabilities[index]) = (ids[place], shares[place]) }
    }
    return result
  }

  /// The whole distributions of the teacher behind some rows, computed while they are needed.
  func exactTarget(tokens: [Int32], sequences: SequenceLayout) throws -> LossTarget {
    .teacher(
      LossTarget.Teacher(
        block: teacherHead, graph: teacher.graph, weights: teacher.blocks[teacher.blocks.count - 1],
        input: try interpreter.hidden(of: teacher, tokens: tokens, sequences: sequences)))
  }

  /// A window with typing errors; nil where too little is left of it.
  func misspelt(_ index: Int, draw: UInt64) -> [Int32]? {
    misspell(windows[index], SeededRandom.value(seed: seed ^ draw, index: UInt64(index)))
  }
}
