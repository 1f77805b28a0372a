import Diagnostics
import Distribution
import Execution
import Foundation
import ModelGraph
import Tensors

/// How the sensitivity is measured: forward, through the head, and back, a block at a time. Several processes each take batches of their own, and
/// each adds up the matrices of layers of its own, batch by batch as one process does.
extension OutputSensitivity {
  func fill(_ stream: CalibrationStream, seed: UInt64, widest: Int, spillingTo directory: URL, _ meter: WorkMeter) throws
    -> OutputSensitivity
  {
    let (graph, interpreter, batches) = (stream.source, stream.interpreter, stream.batches)
    let (layers, group) = (graph.body, interpreter.group)
    guard let head = graph.blocks.last else { return self }
    let rows = batches.enumerated().map { group.owns($0.offset) ? $0.element.layout.rows : 0 }
    var states: [ActivationStore] = []
    for (place, block) in layers.enumerated() {
      meter.begin(place)
      try group.checkInterruption()
      let store = try ActivationStore(rows: rows, widest: widest, spillingTo: directory)
      try group.settle {
        let weights = try LoadedBlock(block, of: graph)
        for (index, batch) in batches.enumerated() where group.owns(index) {
          try Interruption.check()
          let output =
            if let input = states.last {
              try interpreter.run(block, of: graph, weights: weights, input: try input.load(index), sequences: batch.layout)
            } else {
              try interpreter.run(
                block, of: graph, weights: weights, tokens: Array(stream.windows[batch.windows].joined()), sequences: batch.layout)
            }
          try store.store(output, for: index)
        }
      }
      states.append(store)
    }
    guard let gradients = states.popLast() else { return self }
    meter.begin(layers.count)
    try group.checkInterruption()
    try group.settle { try differentiateHead(head, gradients, stream, seed: seed) }
    for (index, block) in layers.enumerated().reversed() where index > 0 {
      guard let inputs = states.popLast() else { break }
      meter.begin(2 * layers.count - index)
      try differentiate(block, inputs, gradients, stream)
    }
    meter.finish()
    return self
  }

  /// Puts the gradients of what the last layer leaves in its place.
  private func differentiateHead(_ head: Block, _ states: ActivationStore, _ stream: CalibrationStream, seed: UInt64) throws {
    let weights = try LoadedBlock(head, of: stream.source)
    let starts = stream.starts
    for (index, batch) in stream.batches.enumerated() where stream.group.owns(index) {
      try Interruption.check()
      let rows = batch.layout.rows
      let loss = try stream.interpreter.headLoss(
        head, of: stream.source, weights: weights, input: try states.load(index), target: .drawn(seed: seed, firstRow: starts[index]),
        rowWeights: Array(repeating: 1, count: rows), wanting: [], inputGradient: true)
      // Gradients of no number would be found in every layer, and the first of them blamed.
      guard loss.loss.isFinite else {
        throw stream.source.notFinite()
          ?? CompressionError(
            "the model", "gives logits that are not finite: its weights are numbers, but some are far out of range",
            remedy: "repair the checkpoint, or fetch it again", kind: .badData)
      }
      if let gradient = loss.gradients.input { try states.store(gradient, for: index) }
    }
  }

  /// Takes the gradients behind a block to those in front of it, in their place, and keeps what its layers' outputs saw.
  private func differentiate(
    _ block: Block, _ inputs: ActivationStore, _ gradients: ActivationStore, _ stream: CalibrationStream
  ) throws {
    let (graph, interpreter, group) = (stream.source, stream.interpreter, stream.group)
    let (batches, starts) = (stream.batches, stream.starts)
    let weights = try LoadedBlock(block, of: graph)
    let waves = Self.waves(graph.linears(of: block).map(\.weight), of: graph, limit: waveBytes * group.count)
    for (number, wave) in waves.enumerated() {
      let sums = SensitivitySums(wave, of: graph, tokens: tokens, interpreter: interpreter)
      for round in stride(from: 0, to: batches.count, by: group.count) {
        try group.checkInterruption()
        let own = round + group.rank
        var parts: [SensitivitySums.Part] = []
        try group.settle {
          guard own < batches.count else { return }
          let tape = try interpreter.runRecording(
            block, of: graph, weights: weights, input: try inputs.load(own), sequences: batches[own].layout)
          let result = try interpreter.backward(
            tape, outputGradient: try gradients.load(own), wanting: [], inputGradient: true
          ) { node, gradient, rows in
            guard let weight = node.parameters.first, sums.contains(weight) else { return }
            if group.isAlone {
              try sums.add(.init(weight: weight, gradient: gradient, rows: rows), at: starts[own])
            } else {
              // What comes next may write over it.
              parts.append(.init(weight: weight, gradient: gradient.copy(rows: 0..<gradient.rows), rows: rows))
            }
          }
          if number == waves.count - 1, let input = result.input { try gradients.store(input, for: own) }
        }
        guard !group.isAlone else { continue }
        for batch in round..<min(round + group.count, batches.count) {
          try sums.add(batch == own ? parts : [], of: group.owner(of: batch), at: starts[batch])
        }
      }
      for weight in wave {
        if let found = try sums.take(weight) { try keep(found.factor, importance: found.importance, of: weight) }
      }
    }
  }

  /// Layers whose factors are found together, so that those of a block with many experts need not all be in memory: each wave runs the block again.
  /// - Parameter limit: bytes of all processes together.
  private static func waves(_ weights: [ParameterID], of graph: ModelGraph, limit: Int) -> [[ParameterID]] {
    var waves: [[ParameterID]] = [[]]
    var bytes = 0
    for weight in weights {
      let size = graph[weight].shape[0] * graph[weight].shape[0] * MemoryLayout<Float>.stride
      if bytes + size > limit, !waves[waves.count - 1].isEmpty {
        waves.append([])
        bytes = 0
      }
      waves[waves.count - 1].append(weight)
      bytes += size
    }
    return waves
  }
}
