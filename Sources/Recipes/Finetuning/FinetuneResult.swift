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

/// Writes what was trained, reads it again, and reports.
struct FinetuneResult {
  let run: FinetuneRun
  let subject: FinetuneSubject
  let loop: FinetuneLoop
  let place: OutputDirectory

  /// Of several processes, which all have the same, the first one writes, and the others learn what it reports.
  func writeTogether(since start: ContinuousClock.Instant) throws -> CompressionReport {
    let group = run.interpreter.group
    if group.isFirst { return try group.hand(write(since: start)) }
    try place.commit()
    return try group.hand(nil)
  }

  private func write(since start: ContinuousClock.Instant) throws -> CompressionReport {
    var written: ModelBundle?
    switch run.settings.method {
    case .lora: try FinetunedAdapter(run: run, subject: subject, place: place).write()
    case .full: written = try writeModel()
    }
    var report = try makeReport()
    report.resources = ResourceMeter.resources(
      since: start, clock: ContinuousClock(), bytesRead: run.model.sourceBytes,
      bytesWritten: report.outputs.reduce(0) { $0 + ($1.bytes ?? 0) }, threads: run.interpreter.pool.threads)
    try place.write(&report, card: card(of: written))
    try loop.clear()
    try place.commit()
    return report
  }

  /// Every parameter in the type that the checkpoint had it in.
  private func writeModel() throws -> ModelBundle {
    let graph = subject.graph
    var tensors: [(name: String, tensor: Tensor)] = []
    for id in graph.parameterIDs {
      guard let matrix = subject.parametrization.values[id],
        let tensor = matrix.tensor(graph[id].shape).converted(to: graph[id].nativeType ?? .float32)
      else { throw TrainingError(graph[id].name, "cannot be written", kind: .badData) }
      let count = tensor.notFiniteCount
      guard count == 0 else {
        throw TrainingError(
          graph[id].name, "has \(count) values beyond \(tensor.dataType.rawValue) after training",
          remedy: "use a lower learning rate, or start from a checkpoint in BF16 or F32")
      }
      tensors.append((graph[id].name, tensor))
    }
    let writer = try SafeTensorsWriter(
      directory: place.partial,
      tensors: tensors.map { TensorDescriptor(name: $0.name, dataType: $0.tensor.dataType, shape: $0.tensor.shape) })
    for (name, tensor) in tensors { try tensor.withUnsafeBytes { try writer.write(name, $0) } }
    try writer.finish()
    try place.write(run.model.configuration.text(), to: "config.json")
    for companion in try run.model.companions() { try place.write(companion.content, to: companion.name) }
    return try ModelBundle(opening: place.partial.path, families: run.model.families)
  }

  private func makeReport() throws -> CompressionReport {
    let (history, data) = (loop.history, loop.data)
    var warnings = data.statistics.warnings
    if !history.skipped.isEmpty {
      warnings.append("\(history.skipped.count) steps had no finite gradient and changed nothing, the first at step \(history.skipped[0])")
    }
    if history.best?.step == 0, !history.evaluations.isEmpty {
      warnings.append("no evaluation was better than the one before the first step: what was written is the model as it was")
    }
    if let base = run.settings.base?.pass {
      warnings.append(
        FinetunedAdapter.hasOwnBase(run.settings)
          ? "the adapter belongs to the model in \(FinetunedAdapter.baseName), which it was trained beside: beside another one it means nothing"
          : "the adapter was trained beside the model quantized by \(type(of: base).identifier) (the options are in the recipe): quantize the "
            + "model the same way to run both together; beside the unquantized one its losses are others")
    }
    if data.heldOut.isEmpty { warnings.append("nothing was held out: whether the model got better was not measured") }
    let training = CompressionReport.Training(
      method: run.settings.method.rawValue, trainableParameters: subject.trainedParameters, steps: history.losses.count,
      tokensPerStep: history.losses.isEmpty ? nil : Double(history.tokens) / Double(history.losses.count),
      tokensPerSecond: history.seconds > 0 ? Double(history.tokens) / history.seconds : nil, losses: history.reportedLosses,
      evaluations: history.evaluations.map { .init(step: $0.step, loss: $0.loss) }, bestStep: history.best?.step,
      stoppedEarly: loop.stoppedEarly,
      evaluationTokens: data.heldOut.isEmpty ? nil : data.heldOut.reduce(0) { $0 + $1.isTarget.count { $0 } },
      examples: data.statistics.examples)
    return CompressionReport(
      tool: .init(name: Tool.name, version: Tool.version),
      model: .init(name: run.model.name, family: run.model.graph.family, parameters: run.model.graph.parameterCount), recipe: try recipe(),
      inputs: .init(
        modelSHA256: try run.model.contentDigest(), evalSHA256: try run.evaluation.map { try FileDigest.hexadecimal(of: $0) },
        dataSHA256: try FileDigest.hexadecimal(of: run.data)),
      outputs: try outputs(), training: training, warnings: warnings)
  }

  private func recipe() throws -> [JSONValue] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    var steps: [JSONValue] = []
    if let base = run.settings.base?.pass {
      var options = base.options
      options["pass"] = .string(type(of: base).identifier)
      steps.append(.object(options))
    }
    var options = try JSONValue(parsing: String(decoding: try encoder.encode(run.settings), as: UTF8.self)).object ?? JSONObject()
    options["pass"] = .string("finetune")
    steps.append(.object(options))
    return steps
  }

  private func outputs() throws -> [CompressionReport.OutputFile] {
    let names = (try FileManager.default.contentsOfDirectory(atPath: place.partial.path)).sorted()
    return try names.filter { $0.hasSuffix(".safetensors") }.map { name in
      let file = place.file(name)
      let size = try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
      return .init(name: name, bytes: size, sha256: try FileDigest.hexadecimal(of: file))
    }
  }
}
