import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Folds an adapter into the weights it stands beside: `W + γ·B·A`, computed in double and rounded once to the type of the weight. A weight that
/// is quantized is quantized again, in the same scheme, on the grid with the smallest squared error.
///
/// It comes first: what follows, calibration too, sees the merged model.
public struct AdapterMerging: CompressionPass {
  public static let identifier = "merge"
  public static let contract = PassContract(forbids: [.smoothedFeatures, .rotatedFeatures, .prunedChannels], comesFirst: true)

  /// A directory that PEFT, mlx-lm or `deepseek-finetune` wrote.
  public var adapter = ""

  public init() {}
  public init(adapter: String) { self.adapter = adapter }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    if adapter.isEmpty {
      throw CompressionError("\(Self.identifier): adapter", "is not given", remedy: "name the adapter's directory", kind: .badConfiguration)
    }
  }

  public func prepare(_ graph: ModelGraph, using resources: PassResources) throws -> ModelGraph {
    var waiting = try resources.adapter(adapter)
    let shared = graph.sharedParameters
    var result = graph
    var entries: [(id: ParameterID, entry: MergedWeights.Entry, scales: DataType?)] = []
    for (node, id) in graph.blocks.flatMap({ graph.linears(of: $0) }) {
      guard let adapter = waiting.removeValue(forKey: node.scope) else { continue }
      guard !shared.contains(id) else {
        throw CompressionError(
          node.scope, "shares its weight with another layer, which the adapter would change, too",
          remedy: "run the adapter beside the model instead", kind: .usage)
      }
      let fold = try AdapterFold(adapter, of: node.scope, shape: graph[id].shape)
      var scales: DataType?
      if graph[id].isQuantized, case .quantized(let tensor) = try graph[id].load() { scales = tensor.scales.dataType }
      entries.append((id, MergedWeights.Entry(origin: graph[id], fold: fold, type: graph[id].valueType ?? .float32), scales))
    }
    if let module = waiting.keys.sorted().first {
      throw CompressionError(
        module, "is not a linear layer of this model", remedy: "merge the adapter into the model it was made for", kind: .badData)
    }
    let source = MergedWeights(entries.map(\.entry), pool: resources.pool)
    for (id, _, scales) in entries { try result.redirect(id, to: source, scaledIn: scales) }
    return result
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    guard context.keepsCodes else { return Worker(layers: [:]) }
    var layers: [ParameterID: Parameter] = [:]
    for (_, id) in graph.blocks.flatMap({ graph.linears(of: $0) }) {
      guard case .stored(let source) = graph[id].storage, let merged = source as? MergedWeights,
        let origin = (try? merged.parts(of: graph[id].name))?.origin, origin.isQuantized
      else { continue }
      layers[id] = origin
    }
    return Worker(layers: layers)
  }

  /// Quantizes again what was quantized.
  private struct Worker: BlockPass {
    /// As they were before the adapter.
    let layers: [ParameterID: Parameter]
    var record = PassRecord(pass: AdapterMerging.identifier)
    var plan: [ParameterID: WeightStorage] { layers.compactMapValues(\.weightStorage) }

    var treatsLayersAlone: Bool { true }

    init(layers: [ParameterID: Parameter]) { self.layers = layers }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      for (node, id) in graph.linears(of: block) {
        guard let origin = layers[id], case .quantized(let scheme)? = origin.weightStorage else { continue }
        let rows = WeightRows.tensor(try graph.denseWeight(id, of: node.scope))
        let name = graph[id].name
        let result = try SearchedScales.quantize(
          rows, named: name, as: scheme, scaleType: graph[id].scaleType ?? .float32, pool: context.pool)
        var tensor = result.tensor
        // What enters the layer hardly moves: the range of its inputs stays.
        if scheme.activations == .int8Static, case .quantized(let before) = try origin.load(),
          let same = tensor.quantizingInputs(as: .int8Static, scale: before.inputScale)
        {
          tensor = same
        }
        record.layers.append(
          PassRecord.Layer(module: node.scope, scheme: scheme, weights: graph[id].shape.elementCount, clipped: result.clipped))
        try graph.replace(id, with: .quantized(tensor))
      }
    }
  }
}
