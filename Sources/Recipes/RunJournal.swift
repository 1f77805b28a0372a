import Calibration
import Compression
import Diagnostics
import Distribution
import Formats
import Foundation
import StructuredData
import Tensors
import Training

/// What of a run is done and safe on the disk, kept beside the unfinished output so that `--resume` continues instead of starting anew.
///
/// It is saved now and then, always after the data it vouches for. A weight that it does not name is written again; every weight is compared
/// at the end in any case.
final class RunJournal {
  private let output: OutputDirectory
  private let fingerprint: String
  private let isEnabled: Bool
  private let group: ProcessGroup
  /// The least time between two saves; nil saves behind every block.
  private let interval: Duration?
  private var lastAttempt = ContinuousClock.now
  /// A save with many activations takes long; then saves are rarer.
  private var lastDuration = Duration.zero
  /// What the journal on the disk vouches for; nil as long as there is none.
  private var saved: State?
  /// Saves between blocks that failed, and why the last of them did.
  private var failures: (count: Int, last: String)?
  /// A digest of every finished weight as it must be read again, by name.
  private(set) var digests: [TensorName: String] = [:]
  /// What the passes had recorded.
  private(set) var records: [PassRecord] = []
  private var state = State(blocks: 0, isWritten: false)

  private struct State: Equatable {
    var blocks: Int
    var isWritten: Bool
  }

  /// Blocks that are finished.
  var blocks: Int { state.blocks }
  /// Whether every weight is written and the checkpoint closed.
  var isWritten: Bool { state.isWritten }

  static let fileName = "journal.json"

  /// Where the activations in front of a block wait for the run that resumes.
  static func activationFile(blocks: Int) -> String { "\(activationPrefix)\(blocks).bin" }

  static let activationPrefix = "activations-"

  /// Starts a journal, or takes up the one of an earlier run when `--resume` asks for it, model, recipe, text and program are the same, and
  /// everything that it names is there.
  init(_ run: CompressionRun, in output: OutputDirectory, blockCount: Int, calibration: CalibrationWork? = nil) throws {
    self.output = output
    group = run.group
    // Times of files may differ from machine to machine: those that the first process sees count for all.
    fingerprint = try group.broadcast(value: Self.fingerprint(of: run, calibration?.selection), from: 0)
    try group.agree(on: Self.fingerprint(of: run, calibration?.selection, hasTimes: false), called: "model, recipe and text")
    isEnabled = run.recipe.format.isResumable
    interval = run.saveInterval
    guard run.settings.resume else { return }
    guard isEnabled, let document = try? JSONFile.read(output.file(Self.fileName)), document["fingerprint"]?.string == fingerprint,
      let saved = document["weights"]?.object, let blocks = document["blocks"]?.integer, (1...blockCount).contains(blocks),
      let entries = document["records"]?.array, case let records = entries.compactMap(PassRecord.init(json:)),
      records.count == run.recipe.passes.count, case let isWritten = document["isWritten"]?.bool ?? false,
      isWritten || Self.holdsActivations(output, of: calibration, blocks: blocks)
    else {
      // What a training saved on its way stays: nothing was written after it yet that could be wrong.
      output.clear(keeping: [QuantizationTraining.prefix])
      output.keepsPartial = TrainingState.exists(at: output.file(QuantizationTraining.prefix))
      output.survivesFailure = output.keepsPartial
      return
    }
    state = State(blocks: blocks, isWritten: isWritten)
    self.saved = state
    for member in saved.members { digests[TensorName(member.key)] = member.value.string }
    self.records = records
    output.keepsPartial = true
    output.survivesFailure = false
  }

  /// Whether the activations that a journal of that many blocks goes on from are complete, or not needed.
  private static func holdsActivations(_ output: OutputDirectory, of calibration: CalibrationWork?, blocks: Int) -> Bool {
    guard let expected = calibration?.savedByteCount(at: blocks) else { return true }
    var status = stat()
    let file = output.file(activationFile(blocks: blocks))
    return lstat(file.path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && Int(status.st_size) == expected
  }

  /// Whether blocks of an earlier run are taken over.
  var isResuming: Bool { blocks > 0 }

  /// Identity of everything that determines the output. Files are known by size and time: reading them whole would cost as much as the work.
  /// - Parameter hasTimes: false for what must be the same on every machine.
  private static func fingerprint(of run: CompressionRun, _ calibration: CalibrationSelection?, hasTimes: Bool = true) -> String {
    var digest = ContentDigest()
    digest.update("\(calibration?.digest ?? "")\n")
    // The same text is other tokens to another tokenizer.
    for window in calibration?.windows ?? [] {
      digest.update("\(window.count)\n")
      window.withUnsafeBytes { digest.update($0) }
    }
    digest.update("\(Tool.version)\n\(run.recipe.yaml())\n\(run.model.configuration.text(pretty: false))\n")
    digest.update("\(run.model.originalDigests?.identity ?? "")\n")
    for file in run.model.checkpoint.files + run.recipe.adapterFiles {
      let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
      let changed = (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
      let size = attributes?[.size] as? Int ?? 0
      digest.update(hasTimes ? "\(file.path) \(size) \(changed)\n" : "\(file.lastPathComponent)\n")
    }
    return digest.hexadecimal()
  }

  /// Notes a finished block; saves when the last time is long enough ago. A save that fails does not end the run: it is counted.
  /// - Parameter flush: waits until what all processes have written is on the disk, and tells the digests of it.
  func finish(
    block: Int, records: [PassRecord], flush: () throws -> [TensorName: String], saveActivations: (_ blocks: Int) throws -> Void
  ) throws {
    state.blocks = block + 1
    self.records = records
    // The clock of the first process counts: saving takes all of them.
    var isDue = interval.map { ContinuousClock.now - lastAttempt >= max($0, lastDuration * 20) } ?? true
    isDue = try group.broadcast(isDue ? UInt8(1) : 0) == 1
    guard isDue else { return }
    let start = ContinuousClock.now
    // Without its weights on the disk the output itself has failed.
    if needsSave { digests = try flush() }
    try save(since: start, saveActivations: saveActivations)
  }

  /// Notes that the checkpoint is written and closed.
  func finishWriting(digests: [TensorName: String], records: [PassRecord]) throws {
    self.digests = digests
    self.records = records
    state.isWritten = true
    try save(since: .now) { _ in }
  }

  /// Saves what is noted before the run stops.
  /// - Throws: when that fails; what was saved before stays.
  func stop(flush: () throws -> [TensorName: String], saveActivations: (_ blocks: Int) throws -> Void) throws {
    do {
      guard needsSave else { return }
      digests = try flush()
      try saveOrThrow(saveActivations: saveActivations)
    } catch let failure as any Failure {
      guard output.keepsPartial else { throw failure }
      output.survivesFailure = true
      let hint = "the same command with --resume continues from what was saved before"
      throw RecipeError(
        failure.subject, failure.problem, remedy: failure.remedy.isEmpty ? hint : "\(failure.remedy); \(hint)", kind: failure.kind)
    }
  }

  /// Whether the disk does not have yet what is noted.
  private var needsSave: Bool { isEnabled && blocks > 0 && saved != state }

  private func save(since start: ContinuousClock.Instant, saveActivations: (_ blocks: Int) throws -> Void) throws {
    defer {
      lastAttempt = .now
      lastDuration = lastAttempt - start
    }
    do {
      try saveOrThrow(saveActivations: saveActivations)
    } catch let lost as LostExchange {
      throw lost
    } catch {
      failures = ((failures?.count ?? 0) + 1, (error as? any Failure)?.description ?? "\(error)")
    }
  }

  /// Saves what is noted, after the weights, unless the disk has it already: then what a resumed run would go on from is not touched.
  private func saveOrThrow(saveActivations: (_ blocks: Int) throws -> Void) throws {
    guard needsSave else { return }
    // What failed keeps no room, and what was replaced neither.
    defer { removeActivations(except: saved) }
    let outcome = Result {
      try saveActivations(blocks)
      try output.replace(Self.fileName, with: document.text(pretty: false))
    }
    if case .failure(let lost as LostExchange) = outcome { throw lost }
    // Only the first process knows: all of them must remember the same.
    let isSaved = try group.broadcast((try? outcome.get()) == nil ? UInt8(0) : 1) == 1
    try outcome.get()
    guard isSaved else { return }
    saved = state
    output.keepsPartial = true
  }

  private var document: JSONValue {
    var weights = JSONObject()
    for (name, digest) in digests.sorted(by: { $0.key.text < $1.key.text }) { weights[name.text] = .string(digest) }
    return [
      "fingerprint": .string(fingerprint), "blocks": .integer(Int64(blocks)), "isWritten": .bool(isWritten),
      "records": .array(records.map(\.json)), "weights": .object(weights),
    ]
  }

  /// What a person should know.
  var warnings: [String] {
    guard let failures else { return [] }
    let times = failures.count == 1 ? "once" : "\(failures.count) times"
    return ["progress could not be saved \(times), the last time because \(failures.last)"]
  }

  /// The run is complete: the journal is no part of the output.
  func remove() {
    removeActivations(except: nil)
    for name in [Self.fileName, Self.fileName + OutputDirectory.temporarySuffix] { output.remove(name) }
    output.keepsPartial = false
  }

  /// Removes activations, also those that a killed run had half written.
  private func removeActivations(except state: State?) {
    guard group.isFirst else { return }
    let kept = state.flatMap { $0.isWritten ? nil : Self.activationFile(blocks: $0.blocks) }
    let files = (try? FileManager.default.contentsOfDirectory(atPath: output.partial.path)) ?? []
    for file in files where file.hasPrefix(Self.activationPrefix) && file != kept { output.remove(file) }
  }
}

extension PassRecord {
  fileprivate var json: JSONValue {
    [
      "pass": .string(pass), "warnings": .array(warnings.map(JSONValue.string)),
      "rescaled": .array(rescaled.map(JSONValue.string)), "inputs": .array(inputs.map(\.json)),
      "layers": .array(
        layers.map { layer in
          var groupSize = 0
          if case .group(let size) = layer.scheme.granularity { groupSize = size }
          var object: JSONObject = [
            "module": .string(layer.module), "bits": .integer(Int64(layer.scheme.bits)), "symmetric": .bool(layer.scheme.symmetric),
            "groupSize": .integer(Int64(groupSize)), "activations": .string(layer.scheme.activations.rawValue),
            "weights": .integer(Int64(layer.weights)), "clipped": .integer(Int64(layer.clipped)),
          ]
          // What the name tells and these figures do not.
          if layer.scheme.offset == .minimum { object["offset"] = .string(layer.scheme.offset.rawValue) }
          if let sharing = layer.scheme.granularity.journalText { object["scalesOf"] = .string(sharing) }
          if let text = layer.scheme.scales.journalText { object["scales"] = .string(text) }
          if layer.scheme.levels != .even { object["levels"] = .string(layer.scheme.levels.rawValue) }
          if let fallback = layer.fallback { object["fallback"] = .string(fallback) }
          if let tokens = layer.calibrationTokens { object["calibrationTokens"] = .integer(Int64(tokens)) }
          if layer.isScarce { object["isScarce"] = true }
          return .object(object)
        }),
    ]
  }

  fileprivate init?(json: JSONValue) {
    guard let pass = json["pass"]?.string, let layers = json["layers"]?.array else { return nil }
    self.init(pass: pass, warnings: json["warnings"]?.array?.compactMap(\.string) ?? [])
    rescaled = json["rescaled"]?.array?.compactMap(\.string) ?? []
    inputs = json["inputs"]?.array?.compactMap(Inputs.init(json:)) ?? []
    for layer in layers {
      guard let module = layer["module"]?.string, let bits = layer["bits"]?.integer, let symmetric = layer["symmetric"]?.bool,
        let groupSize = layer["groupSize"]?.integer, let activations = layer["activations"]?.string.flatMap(ActivationQuantization.init),
        let weights = layer["weights"]?.integer, let clipped = layer["clipped"]?.integer,
        let levels = CodeLevels(rawValue: layer["levels"]?.string ?? CodeLevels.even.rawValue)
      else { return nil }
      let granularity = Granularity(journalText: layer["scalesOf"]?.string) ?? (groupSize == 0 ? .channel : .group(groupSize))
      let offset = layer["offset"]?.string.flatMap(CodeOffset.init) ?? (symmetric ? .none : .zeroPoint)
      let scheme = QuantizationScheme(
        bits: bits, offset: offset, granularity: granularity, activations: activations, levels: levels,
        scales: ScaleEncoding(journalText: layer["scales"]?.string))
      self.layers.append(
        Layer(
          module: module, scheme: scheme, weights: weights, clipped: clipped, fallback: layer["fallback"]?.string,
          calibrationTokens: layer["calibrationTokens"]?.integer, isScarce: layer["isScarce"]?.bool ?? false))
    }
  }
}

extension Granularity {
  /// What the size of a group does not say.
  fileprivate var journalText: String? {
    switch self {
    case .channel, .group: nil
    case .tensor: "tensor"
    case .block(let size): "\(size)"
    }
  }

  fileprivate init?(journalText: String?) {
    guard let journalText else { return nil }
    if journalText == "tensor" { self = .tensor } else if let size = Int(journalText) { self = .block(size) } else { return nil }
  }
}

extension ScaleEncoding {
  fileprivate var journalText: String? {
    switch self {
    case .direct: nil
    case .powerOfTwo: "e8m0"
    case .float8: "e4m3"
    case .superblock(let bits): "\(bits)"
    }
  }

  fileprivate init(journalText: String?) {
    switch journalText {
    case "e8m0": self = .powerOfTwo
    case "e4m3": self = .float8
    case let text?: self = Int(text).map { .superblock(bits: $0) } ?? .direct
    case nil: self = .direct
    }
  }
}

extension PassRecord.Inputs {
  fileprivate var json: JSONValue {
    var object: JSONObject = ["module": .string(module)]
    if let clippedFraction { object["clippedFraction"] = .number(clippedFraction) }
    if let fallback { object["fallback"] = .string(fallback) }
    return .object(object)
  }

  fileprivate init?(json: JSONValue) {
    guard let module = json["module"]?.string else { return nil }
    self.init(module: module, clippedFraction: json["clippedFraction"]?.double, fallback: json["fallback"]?.string)
  }
}
