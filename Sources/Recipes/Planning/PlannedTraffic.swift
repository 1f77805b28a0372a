import Compression
import ModelGraph

/// The bytes that a run reads from the disk and writes to it, step by step, as if nothing that was read stayed in the system's cache.
public struct PlannedTraffic: Sendable {
  public struct Step: Sendable {
    public let name: String
    public let read: Int
    public let written: Int
    /// What is read, by who of several processes would read it.
    let parts: [(division: WorkDivision, bytes: Int)]

    init(_ name: String, reading parts: [(division: WorkDivision, bytes: Int)], writing written: Int = 0) {
      self.name = name
      self.parts = parts
      self.written = written
      read = parts.reduce(0) { $0 + $1.bytes }
    }
  }

  public let steps: [Step]
  public var read: Int { steps.reduce(0) { $0 + $1.read } }
  public var written: Int { steps.reduce(0) { $0 + $1.written } }

  init(_ work: PlannedWork) {
    let (source, output) = (work.sourceBytes, work.outputBytes)
    let quantized = work.quantized
    var steps: [Step] = []
    if work.run.recipe.isCalibrated {
      // Once for statistics; what comes behind a block is computed from what is in memory.
      let shared = work.sharedBytes
      steps.append(Step("calibrate", reading: [(.everyRank, work.bodyBytes.source - shared), (.outputs, shared)]))
    }
    let byLayer: [(division: WorkDivision, bytes: Int)] = [(.layers, quantized.source), (.writing, source - quantized.source)]
    steps.append(Step("quantize", reading: work.isByLayer ? byLayer : [(.everyRank, source)], writing: output))
    steps.append(Step("compare what was written", reading: [(.weights, output)]))
    steps.append(Step("digests of all files", reading: [(.files, source + output)]))
    if quantized.source > 0 {
      steps.append(Step("compare weights", reading: [(.weights, quantized.source + quantized.output)]))
    }
    if work.evaluated != nil {
      let times = work.evaluations * work.evaluationChunks
      let (all, shared) = (work.bodyBytes, work.isEncoder ? 0 : work.sharedBytes)
      steps.append(
        Step("measure accuracy", reading: [(.everyRank, times * (all.source + all.output - shared)), (.outputs, times * shared)]))
    }
    self.steps = steps
  }
}

extension PlannedWork {
  /// Bytes of what the graph runs, before and after.
  var bodyBytes: (source: Int, output: Int) {
    layers.reduce(into: (0, 0)) { sum, layer in
      guard layer.reason != .notRun else { return }
      sum.0 += layer.sourceBytes
      sum.1 += layer.outputBytes
    }
  }

  /// Bytes of the source's layers of which each process would read the rows, or the experts, that are its own.
  var sharedBytes: Int {
    graph.body.flatMap { graph.linears(of: $0) }.reduce(0) { sum, layer in
      let isShared = isReadByRows(layer.weight) || isTensorParallel && graph.expert(of: layer.node) != nil
      return isShared ? sum + run.model.storedBytes(of: graph[layer.weight].name) : sum
    }
  }

  /// Whether decoding is timed: it holds both models.
  var isTimed: Bool {
    sourceBytes + outputBytes <= min(run.settings.maximumMemory ?? ReportBuilder.largestTimedModels, ReportBuilder.largestTimedModels)
  }
}
