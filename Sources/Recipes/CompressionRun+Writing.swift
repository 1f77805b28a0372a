import Calibration
import Compression
import Diagnostics
import Distribution
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
    _ trained: TrainedWeights?, to output: OutputDirectory, _ journal: RunJournal, configuration: OutputConfiguration, recipe yaml: String,
    observer: (any WritingObserver)? = nil
  ) throws -> [TensorName: String] {
    if journal.isResuming {
      for index in workers.indices { workers[index].record = journal.records[index] }
    }
    if journal.isWritten { return journal.digests }
    func saveActivations(_ blocks: Int) throws {
      try calibration?.save(to: output.file(RunJournal.activationFile(blocks: blocks)), at: blocks)
    }
    var context = PassContext(interpreter: interpreter, seed: recipe.seed)
    context.trained = trained
    var graph = source
    try calibration?.begin(
      at: journal.blocks, restoring: journal.isResuming ? output.file(RunJournal.activationFile(blocks: journal.blocks)) : nil)
    var weights = try WeightOutput(layout, in: group, from: model.graph, digests: journal.digests) { role in
      try makeWriter(layout, output, journal, as: role, configuration: configuration, recipe: yaml, observer: observer)
    }
    let meter = meter(of: source, workers, calibration)
    let planned = Set(workers.flatMap(\.plan.keys))
    var shares = WorkShares(of: group)
    let layersAlone = calibration == nil && trained == nil && workers.allSatisfy(\.treatsLayersAlone)
    do {
      for (index, block) in graph.blocks.enumerated() where index >= journal.blocks {
        try group.checkInterruption()
        meter.begin(index)
        let context = context.with(calibration?.calibration(for: block, at: index))
        let parts =
          layersAlone ? source.layers(of: block, parameters: layout.blocks[index]) : [(nodes: block, parameters: layout.blocks[index])]
        for part in parts {
          // Activations would be left ahead of the weights that a resumed run goes on from; without any, a stop need not wait for the block.
          if layersAlone { try Interruption.check() }
          // Layers that are treated by themselves are each treated by one process; whole blocks by all, which divide them.
          let worker = layersAlone ? shares.take(layout.cost(of: part.parameters, planned, isDivided: weights.isDivided)) : nil
          try meter.measure {
            try apply(&workers, to: part.nodes, of: &graph, in: context, planned, by: worker, isWrittenThere: weights.isDivided)
            try calibration?.advance(past: block, in: graph)
            for id in part.parameters {
              guard let entry = layout.parameters[id] else { continue }
              try weights.write(try graph[id].load(), entry, by: worker)
              WorkMeter.add(WorkEstimate.storedValue * Double(graph[id].shape.elementCount))
              model.weights.release(entry.name)
              graph.release(id)
            }
          }
        }
        try journal.finish(
          block: index, records: workers.map(\.record), flush: { try weights.flush() }, saveActivations: saveActivations)
      }
    } catch let stop as StoppedFailure {
      // Activations between two blocks are of no use to the run that resumes: it goes on from the last save.
      if calibration?.isConsistent ?? true { try journal.stop(flush: { try weights.flush() }, saveActivations: saveActivations) }
      throw stop
    }
    try graph.verify()
    meter.finish()
    try weights.finish(passingOn: model.weights)
    try journal.finishWriting(digests: weights.digests, records: workers.map(\.record))
    return weights.digests
  }

  /// Lets the passes change a part of the model, and all processes know what became of it.
  /// - Parameters:
  ///   - planned: what passes will change.
  ///   - rank: of the process that does it; nil for all, each of which then knows.
  ///   - isWrittenThere: whether that process writes it, too; else the first one does.
  private func apply(
    _ workers: inout [any BlockPass], to part: Block, of graph: inout ModelGraph, in context: PassContext, _ planned: Set<ParameterID>,
    by rank: Int?, isWrittenThere: Bool
  ) throws {
    let isAbsent = rank.map { $0 != group.rank } ?? false
    let known = workers.map { PassRecord.Extent($0.record) }
    if !isAbsent { for pass in workers.indices { try workers[pass].apply(to: part, of: &graph, in: context) } }
    guard let rank, !group.isAlone, !workers.isEmpty else { return }
    // The first process keeps the record.
    guard rank != 0, let pair = group.pair(from: rank, to: 0) else { return }
    for (pass, known) in zip(workers.indices, known) {
      let news = try pair.broadcast(value: workers[pass].record.since(known), from: 0)
      if !pair.isFirst { workers[pass].record.append(news) }
    }
    guard !isWrittenThere else { return }
    for id in Set(graph.nodes[part.nodes].flatMap(\.parameters)).sorted(by: { $0.index < $1.index })
    where planned.contains(id) {
      let weight = try pair.broadcast(pair.isFirst ? graph[id].load() : nil, from: 0)
      if !pair.isFirst { try graph.replace(id, with: weight) }
    }
  }

  /// What every block will cost: what its passes say, its calibration text sent on, and its values written.
  private func meter(of graph: ModelGraph, _ workers: [any BlockPass], _ calibration: CalibrationWork?) -> WorkMeter {
    let text = CalibrationExtent(calibration?.selection.windows ?? [])
    let costs = graph.blocks.map { block in
      let sent = block.kind == .head ? 0 : graph.operations(of: block, tokens: text.tokens) * Double(calibration?.streamCount ?? 0)
      return workers.reduce(sent + WorkEstimate.storedValue * graph.storedValues(of: block)) {
        $0 + $1.operations(on: block, of: graph, calibratedOn: text)
      }
    }
    return WorkMeter(workers.isEmpty ? "Converting" : "Quantizing", costs: costs, tokens: text.tokens, progress: progress)
  }

  private func makeWriter(
    _ layout: OutputLayout, _ output: OutputDirectory, _ journal: RunJournal, as role: WriterRole, configuration: OutputConfiguration,
    recipe yaml: String, observer: (any WritingObserver)?
  ) throws -> any CheckpointWriter {
    let done =
      journal.isResuming
      ? layout.entries.filter { journal.digests[layout.nameReadBack(of: $0)] != nil }.flatMap(\.tensors).map(\.name) : nil
    return try layout.encoding.writer(
      layout,
      for: OutputFiles(
        directory: output.partial, configuration: configuration, recipe: yaml, role: role, written: done, observer: observer))
  }
}

extension ModelGraph {
  /// A block as the nodes that have parameters, each with those that it uses first.
  /// - Parameter parameters: those that the block uses first.
  func layers(of block: Block, parameters: [ParameterID]) -> [(nodes: Block, parameters: [ParameterID])] {
    var pending = Set(parameters)
    return block.nodes.compactMap { index in
      let used = nodes[index].parameters
      guard !used.isEmpty else { return nil }
      return (Block(kind: block.kind, name: block.name, nodes: index..<index + 1), used.filter { pending.remove($0) != nil })
    }
  }
}
