import Calibration
import Compression
import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors

/// What of a run is done and safe on the disk, kept beside the unfinished output so that `--resume` continues instead of starting anew.
///
/// It is saved now and then, always after the data it vouches for. A weight that it does not name is written again; every weight is compared
/// at the end in any case.
final class RunJournal {
  private let output: OutputDirectory
  private let fingerprint: String
  private let isEnabled: Bool
  private var lastSaved = ContinuousClock.now
  /// A digest of every finished weight as it must be read again, by name.
  private(set) var digests: [TensorName: String] = [:]
  /// What the passes had recorded.
  private(set) var records: [PassRecord] = []
  /// Blocks that are finished.
  private(set) var blocks = 0
  /// Whether every weight is written and the checkpoint closed.
  private(set) var isWritten = false

  static let fileName = "journal.json"
  /// Flushing costs time, repeating work does too.
  private static let interval = Duration.seconds(5)
  /// A save with many activations takes long; then saves are rarer.
  private var lastDuration = Duration.zero

  /// Where the activations in front of a block wait for the run that resumes.
  static func activationFile(blocks: Int) -> String { "activations-\(blocks).bin" }

  /// Starts a journal, or takes up the one of an earlier run when `--resume` asks for it and model, recipe and program are the same.
  init(_ run: CompressionRun, in output: OutputDirectory, calibration: CalibrationSelection? = nil) throws {
    self.output = output
    fingerprint = Self.fingerprint(of: run, calibration)
    // An HDF5 file is laid out by its library: it cannot be taken up midway.
    isEnabled = run.recipe.format != .hdf5
    guard run.settings.resume else { return }
    guard isEnabled, let document = try? JSONFile.read(output.file(Self.fileName)), document["fingerprint"]?.string == fingerprint,
      let saved = document["weights"]?.object, let blocks = document["blocks"]?.integer, blocks >= 0,
      let entries = document["records"]?.array, case let records = entries.compactMap(PassRecord.init(json:)),
      records.count == run.recipe.passes.count
    else {
      output.clear()
      return
    }
    self.blocks = blocks
    isWritten = document["isWritten"]?.bool ?? false
    for member in saved.members { digests[TensorName(member.key)] = member.value.string }
    self.records = records
    output.keepsPartial = true
  }

  /// Whether blocks of an earlier run are taken over.
  var isResuming: Bool { blocks > 0 }

  /// Identity of everything that determines the output. Files are known by size and time: reading them whole would cost as much as the work.
  private static func fingerprint(of run: CompressionRun, _ calibration: CalibrationSelection?) -> String {
    var digest = ContentDigest()
    digest.update("\(calibration?.digest ?? "")\n")
    digest.update("\(Tool.version)\n\(run.recipe.yaml())\n\(run.model.configuration.text(pretty: false))\n")
    for file in run.model.checkpoint.files {
      let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
      let changed = (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
      digest.update("\(file.path) \(attributes?[.size] as? Int ?? 0) \(changed)\n")
    }
    return digest.hexadecimal()
  }

  /// Notes a finished block; saves when the last time is long enough ago.
  func finish(block: Int, digests: [TensorName: String], records: [PassRecord], flush: (_ blocks: Int) throws -> Void) throws {
    self.blocks = block + 1
    self.digests = digests
    self.records = records
    if ContinuousClock.now - lastSaved >= max(Self.interval, lastDuration * 20) { try save(flush: flush) }
  }

  /// Notes that the checkpoint is written and closed.
  func finishWriting(digests: [TensorName: String], records: [PassRecord]) throws {
    self.digests = digests
    self.records = records
    isWritten = true
    try save { _ in }
  }

  /// Saves what is noted, after the data.
  func save(flush: (_ blocks: Int) throws -> Void) throws {
    guard isEnabled, blocks > 0 else { return }
    let start = ContinuousClock.now
    try flush(blocks)
    var weights = JSONObject()
    for (name, digest) in digests.sorted(by: { $0.key.text < $1.key.text }) { weights[name.text] = .string(digest) }
    let document: JSONValue = [
      "fingerprint": .string(fingerprint), "blocks": .integer(Int64(blocks)), "isWritten": .bool(isWritten),
      "records": .array(records.map(\.json)), "weights": .object(weights),
    ]
    let temporary = Self.fileName + ".new"
    try output.write(document.text(pretty: false), to: temporary)
    guard rename(output.file(temporary).path, output.file(Self.fileName).path) == 0 else {
      throw RecipeError(output.file(Self.fileName).path, "cannot be renamed: \(String(cString: strerror(errno)))", kind: .inputOutput)
    }
    output.keepsPartial = true
    removeActivations(except: isWritten ? nil : Self.activationFile(blocks: blocks))
    lastSaved = .now
    lastDuration = lastSaved - start
  }

  /// The run is complete: the journal is no part of the output.
  func remove() {
    removeActivations(except: nil)
    try? FileManager.default.removeItem(at: output.file(Self.fileName))
    output.keepsPartial = false
  }

  private func removeActivations(except kept: String?) {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: output.partial.path)) ?? []
    for file in files where file.hasPrefix("activations-") && file.hasSuffix(".bin") && file != kept {
      try? FileManager.default.removeItem(at: output.file(file))
    }
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
          if let fallback = layer.fallback { object["fallback"] = .string(fallback) }
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
        let weights = layer["weights"]?.integer, let clipped = layer["clipped"]?.integer
      else { return nil }
      let scheme = QuantizationScheme(
        bits: bits, symmetric: symmetric, granularity: groupSize == 0 ? .channel : .group(groupSize), activations: activations)
      self.layers.append(
        Layer(module: module, scheme: scheme, weights: weights, clipped: clipped, fallback: layer["fallback"]?.string))
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
