import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

extension CompressionRun {
  /// Works through the model block by block: passes, encoding, writing, and letting go. Blocks that the journal names as done are passed over.
  /// - Returns: a digest of every weight as it must be read again, by name.
  func writeWeights(
    _ layout: OutputLayout, _ source: ModelGraph, _ workers: inout [any BlockPass], _ calibration: CalibrationWork?,
    _ trained: TrainedWeights?, to output: OutputDirectory, _ journal: RunJournal, configuration: JSONValue, recipe yaml: String
  ) throws -> [TensorName: String] {
    if journal.isResuming {
      for index in workers.indices { workers[index].record = journal.records[index] }
    }
    if journal.isWritten { return journal.digests }
    let writer = try makeWriter(layout, output, journal, configuration: configuration, recipe: yaml)
    func flush() throws { try (writer as? SafeTensorsWriter)?.suspend() }
    func saveActivations(_ blocks: Int) throws {
      try calibration?.save(to: output.file(RunJournal.activationFile(blocks: blocks)), at: blocks)
    }
    var context = PassContext(interpreter: interpreter, seed: recipe.seed)
    context.trained = trained
    var graph = source
    try calibration?.begin(
      at: journal.blocks, restoring: journal.isResuming ? output.file(RunJournal.activationFile(blocks: journal.blocks)) : nil)
    var digests = journal.digests
    func write(_ weight: Weight, _ entry: OutputLayout.Entry) throws {
      for (descriptor, tensor) in try layout.encode(weight, as: entry) { try writer.write(descriptor.name, tensor) }
      digests[TensorName(entry.name)] = layout.expected(weight, as: entry).digest()
      model.weights.release(entry.name)
    }
    let stage = workers.isEmpty ? "Converting" : "Quantizing"
    do {
      for (index, block) in graph.blocks.enumerated() where index >= journal.blocks {
        try Interruption.check()
        progress?(StageProgress(stage: stage, completed: index, total: graph.blocks.count))
        let context = context.with(calibration?.calibration(for: block, at: index))
        for pass in workers.indices { try workers[pass].apply(to: block, of: &graph, in: context) }
        try calibration?.advance(past: block, in: graph)
        for id in graph.parameters(of: block) {
          guard let entry = layout.parameters[id] else { continue }
          try write(try graph[id].load(), entry)
          graph.release(id)
        }
        try journal.finish(
          block: index, digests: digests, records: workers.map(\.record), flush: flush, saveActivations: saveActivations)
      }
    } catch let stop as StoppedFailure {
      // Activations between two blocks are of no use to the run that resumes: it goes on from the last save.
      if calibration?.isConsistent ?? true { try journal.stop(flush: flush, saveActivations: saveActivations) }
      throw stop
    }
    try graph.verify()
    for entry in layout.extras where digests[TensorName(entry.name)] == nil { try write(try model.weights.load(entry.name), entry) }
    progress?(StageProgress(stage: stage, completed: graph.blocks.count, total: graph.blocks.count))
    try writer.finish()
    journal.finishWriting(digests: digests, records: workers.map(\.record))
    return digests
  }

  private func makeWriter(
    _ layout: OutputLayout, _ output: OutputDirectory, _ journal: RunJournal, configuration: JSONValue, recipe yaml: String
  ) throws -> any CheckpointWriter {
    switch recipe.format {
    case .compressedTensors, .safetensors:
      let done =
        journal.isResuming
        ? layout.entries.filter { journal.digests[TensorName($0.name)] != nil }.flatMap(\.tensors).map(\.name) : nil
      let writer = try SafeTensorsWriter(directory: output.partial, tensors: layout.tensors, resumingAfter: done)
      // What an earlier run wrote stays even if this one ends before it saves anything.
      if journal.isResuming { try writer.suspend() }
      return writer
    case .hdf5:
      return try HDF5Writer(
        creating: output.file("model.h5"), tensors: layout.tensors,
        attributes: ["config.json": configuration.text(pretty: false), "recipe.yaml": yaml])
    }
  }

  /// Reads every weight of the output again and compares it with what was handed to the writer.
  func compare(_ written: ModelBundle, with digests: [TensorName: String]) throws {
    let names = written.weights.names
    for (index, name) in names.enumerated() {
      try Interruption.check()
      if index % 16 == 0 { progress?(StageProgress(stage: "Checking", completed: index, total: names.count)) }
      guard let expected = digests[TensorName(name)] else {
        throw RecipeError(name, "stands in the output and was never written", kind: .inputOutput)
      }
      guard try written.weights.load(name).digest() == expected else {
        throw RecipeError(
          name, "reads back other than it was written", remedy: "check the disk and run again", kind: .inputOutput)
      }
      written.weights.release(name)
    }
    guard let missing = digests.keys.map(\.text).sorted().first(where: { written.weights.describe($0) == nil }) else {
      progress?(StageProgress(stage: "Checking", completed: names.count, total: names.count))
      return
    }
    throw RecipeError(missing, "was written and cannot be found in the output", kind: .inputOutput)
  }
}
