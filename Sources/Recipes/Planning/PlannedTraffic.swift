import Compression

/// The bytes that a run reads from the disk and writes to it, step by step, as if nothing that was read stayed in the system's cache.
public struct PlannedTraffic: Sendable {
  public struct Step: Sendable {
    public let name: String
    public let read: Int
    public let written: Int
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
      steps.append(Step(name: "calibrate", read: work.bodyBytes.source, written: 0))
    }
    steps.append(Step(name: "quantize", read: source, written: output))
    steps.append(Step(name: "compare what was written", read: output, written: 0))
    steps.append(Step(name: "digests of all files", read: source + output, written: 0))
    if quantized.source > 0 {
      steps.append(Step(name: "compare weights", read: quantized.source + quantized.output, written: 0))
    }
    if work.evaluated != nil {
      let times = work.evaluations * work.evaluationChunks
      let (reference, model) = work.bodyBytes
      steps.append(Step(name: "measure accuracy", read: times * (reference + model), written: 0))
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

  /// Whether decoding is timed: it holds both models.
  var isTimed: Bool {
    sourceBytes + outputBytes <= min(run.settings.maximumMemory ?? ReportBuilder.largestTimedModels, ReportBuilder.largestTimedModels)
  }
}
