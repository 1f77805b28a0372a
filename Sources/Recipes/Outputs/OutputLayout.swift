import Compression
import Diagnostics
import Formats
import ModelGraph
import Tensors

/// Which tensors of the output hold which parameter, decided before any weight is read.
struct OutputLayout {
  /// A weight that is to be written.
  struct Subject {
    /// `model.layers.0.mlp.up_proj.weight`.
    let name: String
    let shape: Shape
    /// As the last pass leaves it.
    let storage: WeightStorage
    /// What its scales are, if it has any.
    let scaleType: DataType
    /// What its scales are stored as now, where it is passed on and they are no parts of others.
    var storedScaleType: DataType?
    /// Reads it, where it is passed on as it is; nil where a pass is to make it, and where files hold no values.
    var stored: (@Sendable () throws -> Weight)?

    /// Its codes, where it is passed on.
    func storedCodes() throws -> QuantizedTensor? {
      if case .quantized(let tensor)? = try stored?() { tensor } else { nil }
    }

    /// `model.layers.0.mlp.up_proj`.
    var module: String { CompressedTensorsEncoding.moduleName(ofParameter: name) }
  }

  /// One logical weight and the tensors that store it.
  struct Entry {
    /// `model.layers.0.mlp.up_proj.weight`.
    let name: String
    let shape: Shape
    let storage: WeightStorage
    let tensors: [TensorDescriptor]

    init(_ weight: Subject, storage: WeightStorage, tensors: [TensorDescriptor]) {
      (name, shape, self.storage, self.tensors) = (weight.name, weight.shape, storage, tensors)
    }

    var byteCount: Int { tensors.reduce(0) { $0 + ($1.byteCount ?? 0) } }
    var module: String { CompressedTensorsEncoding.moduleName(ofParameter: name) }
  }

  let format: OutputFormat
  let encoding: any OutputEncoding
  /// The graph's parameters in model order.
  let parameters: [ParameterID: Entry]
  /// What the checkpoint holds beside the graph's parameters; it is passed on as it is.
  let extras: [Entry]
  /// The parameters by the block that uses them first.
  let blocks: [[ParameterID]]

  /// - Parameters:
  ///   - graph: the model that passes begin on.
  ///   - plan: what passes will store parameters as; the others stay as they are.
  ///   - leavingOut: which of what the graph does not run is not passed on.
  /// - Throws: when the format cannot hold a scheme.
  init(
    model: ModelBundle, graph: ModelGraph, plan: [ParameterID: WeightStorage], format: OutputFormat,
    leavingOut: (String) -> Bool = { _ in false }
  ) throws {
    self.format = format
    let encoding = try format.encoding(of: model, settings: OutputConfiguration.settings(of: model, as: graph))
    self.encoding = encoding
    var parameters: [ParameterID: Entry] = [:]
    var known = Set<TensorName>()
    blocks = graph.parametersByBlock
    for id in blocks.joined() {
      let parameter = graph[id]
      guard let stored = parameter.weightStorage else { continue }
      known.insert(TensorName(parameter.name))
      let reading: @Sendable () throws -> Weight = { try parameter.load() }
      parameters[id] = try encoding.place(
        Subject(
          name: parameter.name, shape: parameter.shape, storage: plan[id] ?? stored,
          scaleType: parameter.scaleType ?? format.scaleType ?? Self.scaleType(of: parameter.name, model),
          storedScaleType: plan[id] == nil ? model.weights.scaleType(parameter.name) : nil,
          stored: plan[id] == nil && model.checkpoint.holdsValues ? reading : nil))
      if case .quantized = stored { parameter.releasePages() }
    }
    var extras: [Entry] = []
    // A parameter that the graph no longer has is none that is passed on.
    known.formUnion(model.graph.parameters.map { TensorName($0.name) })
    for name in model.weights.names where !known.contains(TensorName(name)) && !leavingOut(name) && !encoding.omits(name) {
      guard let found = model.weights.describe(name) else { continue }
      let reading: @Sendable () throws -> Weight = { [weights = model.weights] in try weights.load(name) }
      extras.append(
        try encoding.place(
          Subject(
            name: name, shape: found.shape, storage: found.storage, scaleType: format.scaleType ?? Self.scaleType(of: name, model),
            storedScaleType: model.weights.scaleType(name), stored: model.checkpoint.holdsValues ? reading : nil)))
      if case .quantized = found.storage { model.weights.release(name) }
    }
    self.parameters = parameters
    self.extras = extras
    try encoding.check(self)
  }

  /// The name under which a weight is read back.
  func nameReadBack(of entry: Entry) -> TensorName { TensorName(encoding.nameReadBack(of: entry.name)) }

  /// Every tensor of the output, in model order.
  var tensors: [TensorDescriptor] { entries.flatMap(\.tensors) }

  /// Every weight of the output, in model order.
  var entries: [Entry] { blocks.joined().compactMap { parameters[$0] } + extras }

  /// What it costs to quantize and write parameters, by which processes divide them.
  /// - Parameters:
  ///   - planned: those that passes change.
  ///   - isDivided: whether who quantizes also writes: a byte on its way to the disk takes about as long as two weights that are rounded.
  func cost(of parameters: [ParameterID], _ planned: Set<ParameterID>, isDivided: Bool) -> Double {
    parameters.reduce(0) { sum, id in
      guard let entry = self.parameters[id] else { return sum }
      return sum + (planned.contains(id) ? Double(entry.shape.elementCount) : 0) + (isDivided ? 2 * Double(entry.byteCount) : 0)
    }
  }

  /// Scales are stored in the type that the weight had: loaders cast them to the model's type, and what is rounded after quantizing is lost.
  private static func scaleType(of name: String, _ model: ModelBundle) -> DataType {
    if case .dense(let type)? = model.weights.describe(name)?.storage { return type == .float64 ? .float32 : type }
    return model.weights.scaleType(name) ?? .bfloat16
  }
}
