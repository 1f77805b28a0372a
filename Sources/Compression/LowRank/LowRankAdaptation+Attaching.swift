import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

extension LowRankAdaptation {
  /// Attaches adapters to a model and puts what their start leaves of the weights in the weights' place. The start of every factor stays in
  /// the graph, as the value of its parameter.
  ///
  /// With the zero start, and with the principal one without a quantizer, the model computes what it computed before, to float accuracy. The
  /// principal start turns every adapted weight, whatever it was stored as, into float32 in memory, or quantizes what it leaves at once. With
  /// a quantizer the weights are those of its model, whatever the graph holds already; a layer that it leaves alone starts at zero.
  ///
  /// - Parameters:
  ///   - graph: left as it was when this throws.
  ///   - seed: of what is drawn; a layer's numbers depend on its place among the adapted ones, not on the others.
  ///   - quantizer: what makes codes of weights: `quantizationResidual` needs one, `principal` may have one.
  ///   - progress: told how many layers are done, and of how many.
  /// - Throws: what ``layers(of:)`` refuses; a start that does not go with the quantizer; a weight that other nodes use as well or whose
  ///   inputs are quantized, where it would be replaced.
  public func attach(
    to graph: inout ModelGraph, seed: UInt64, pool: ThreadPool, quantizer: LayerQuantizer? = nil,
    progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
  ) throws -> [AttachedAdapter] {
    guard start != .zero || quantizer == nil else {
      throw usage("the start \"\(start.rawValue)\"", "does not quantize", "use the start \"\(Start.quantizationResidual.rawValue)\"")
    }
    if start == .quantizationResidual, quantizer == nil {
      throw usage("the start \"\(start.rawValue)\"", "needs to know how weights are quantized", "say how many bits they are to have")
    }
    let layers = try layers(of: graph)
    if start != .zero { try checkReplaceable(layers, of: graph) }
    var adapted = graph
    var adapters: [String: LowRankAdapter] = [:]
    for (index, layer) in layers.enumerated() {
      try Interruption.check()
      if start != .zero { try progress(index, layers.count) }
      let factors = try factors(layer, of: graph, seed: SeededRandom.value(seed: seed, index: UInt64(index)), quantizer, pool)
      if let weight = factors.weight { try adapted.replace(layer.weight, with: weight) }
      let parameter = adapted[layer.weight]
      let (outputs, inputs) = (parameter.shape[0], parameter.shape[1])
      var lengths: Tensor?
      if magnitude {
        let norms = Matrix(rows: 1, columns: outputs)
        try AdaptedWeight(parameter, down: factors.down, up: factors.up, scaling: factor).norms(into: norms, pool: pool)
        lengths = Tensor(norms.values(ofRow: 0), shape: [outputs])
      }
      adapters[layer.module] = LowRankAdapter(
        down: factors.down.tensor([rank, inputs]), up: factors.up.tensor([outputs, rank]), scaling: factor, magnitude: lengths)
    }
    let attached = try adapted.attach(adapters)
    graph = adapted
    return attached
  }

  private func factors(
    _ layer: (module: String, weight: ParameterID), of graph: ModelGraph, seed: UInt64, _ quantizer: LayerQuantizer?, _ pool: ThreadPool
  ) throws -> LowRankStart {
    let parameter = graph[layer.weight]
    let zero = { LowRankStart(rank: rank, outputs: parameter.shape[0], inputs: parameter.shape[1], seed: seed) }
    guard start != .zero else { return zero() }
    guard let original = quantizer.map({ $0.source.parameter(layer.weight, like: parameter) }) ?? parameter else {
      throw usage(layer.module, "is not a layer of the model that is to be quantized")
    }
    if let quantizer, !quantizer.covers(layer.weight) { return zero() }
    defer {
      // What was read and what was let go would otherwise stay with the process, layer after layer.
      original.releasePages()
      dso_give_back_memory()
    }
    switch start {
    case .zero: return zero()
    case .principal:
      var found = try LowRankStart(
        principalPartOf: Matrix(original), named: parameter.name, rank: rank, scaling: factor, seed: seed, pool: pool)
      if let quantizer, let codes = try found.residual.flatMap({ try quantizer.quantize($0, for: layer.weight) }) {
        found.weight = .quantized(codes.tensor)
      }
      return found
    case .quantizationResidual:
      let found = try LowRankStart.quantizing(
        Matrix(original), named: parameter.name, rank: rank, scaling: factor, seed: seed, pool: pool
      ) { try quantizer?.quantize($0, for: layer.weight)?.tensor }
      return found ?? zero()
    }
  }

  /// A start that changes weights must be the only one to use them, and the layer must see its inputs as the adapter does.
  private func checkReplaceable(_ layers: [(module: String, weight: ParameterID)], of graph: ModelGraph) throws(CompressionError) {
    let shared = graph.sharedParameters
    for layer in layers {
      guard !shared.contains(layer.weight) else {
        throw usage(
          layer.module, "shares its weight with the embedding, which the start \"\(start.rawValue)\" would change",
          "leave it out of --target, or use the start \"\(Start.zero.rawValue)\"")
      }
      guard start != .principal || graph.inputQuantization[layer.weight, default: .none] == .none else {
        throw usage(
          layer.module, "quantizes its inputs, which the start \"\(start.rawValue)\" would take its principal part from",
          "start from the unquantized model, or use the start \"\(Start.zero.rawValue)\"")
      }
    }
  }
}

extension ModelGraph {
  /// The parameter of that number, if it is the same one as another model's.
  fileprivate func parameter(_ id: ParameterID, like other: Parameter) -> Parameter? {
    guard parameterIDs.contains(id), self[id].name.utf8.elementsEqual(other.name.utf8), self[id].shape == other.shape else { return nil }
    return self[id]
  }
}
