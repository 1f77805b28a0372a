import Compression
import Diagnostics
import Formats
import ModelGraph
import Tensors

/// Which tensors of the output hold which parameter, decided before any weight is read.
struct OutputLayout {
  /// One logical weight and the tensors that store it.
  struct Entry {
    /// `model.layers.0.mlp.up_proj.weight`.
    let name: String
    let shape: Shape
    let storage: WeightStorage
    let tensors: [TensorDescriptor]

    var byteCount: Int { tensors.reduce(0) { $0 + ($1.byteCount ?? 0) } }
  }

  let format: OutputFormat
  /// The graph's parameters in model order.
  let parameters: [ParameterID: Entry]
  /// What the checkpoint holds beside the graph's parameters; it is passed on as it is.
  let extras: [Entry]
  /// The parameters by the block that uses them first.
  let blocks: [[ParameterID]]

  /// - Parameter plan: what passes will store parameters as; the others stay as they are.
  /// - Throws: `CheckpointError` when the format cannot hold a scheme.
  /// - Parameter graph: the model that passes begin on.
  /// - Parameter leavingOut: which of what the graph does not run is not passed on.
  init(
    model: ModelBundle, graph: ModelGraph, plan: [ParameterID: WeightStorage], format: OutputFormat,
    leavingOut: (String) -> Bool = { _ in false }
  ) throws {
    self.format = format
    var parameters: [ParameterID: Entry] = [:]
    var known = Set<TensorName>()
    blocks = graph.parametersByBlock
    for id in blocks.joined() {
      let parameter = graph[id]
      guard let stored = parameter.weightStorage else { continue }
      known.insert(TensorName(parameter.name))
      parameters[id] = try Self.entry(
        parameter.name, parameter.shape, plan[id] ?? stored,
        scaleType: parameter.scaleType ?? Self.scaleType(of: parameter.name, model), format)
    }
    var extras: [Entry] = []
    // A parameter that the graph no longer has is none that is passed on.
    known.formUnion(model.graph.parameters.map { TensorName($0.name) })
    for name in model.weights.names where !known.contains(TensorName(name)) && !leavingOut(name) {
      guard let found = model.weights.describe(name) else { continue }
      extras.append(
        try Self.entry(name, found.shape, found.storage, scaleType: Self.scaleType(of: name, model), format))
    }
    self.parameters = parameters
    self.extras = extras
  }

  /// Every tensor of the output, in model order.
  var tensors: [TensorDescriptor] { entries.flatMap(\.tensors) }

  /// Every weight of the output, in model order.
  var entries: [Entry] { blocks.joined().compactMap { parameters[$0] } + extras }

  private static func entry(
    _ name: String, _ shape: Shape, _ storage: WeightStorage, scaleType: DataType, _ format: OutputFormat
  ) throws -> Entry {
    let tensors: [TensorDescriptor]
    var written = storage
    switch storage {
    case .dense(let type): tensors = [TensorDescriptor(name: name, dataType: type, shape: shape)]
    case .quantized(let scheme):
      if format == .keras {
        tensors = try KerasPreset.descriptors(
          module: CompressedTensorsEncoding.moduleName(ofParameter: name), scheme: scheme, shape: shape)
      } else if format.keepsQuantizedWeights {
        tensors = try CompressedTensorsEncoding.descriptors(
          module: CompressedTensorsEncoding.moduleName(ofParameter: name), scheme: scheme, shape: shape, scaleType: scaleType)
      } else {
        guard scheme.activations == .none else {
          throw RecipeError(
            "--format safetensors", "cannot hold int8 activations: nothing in it tells a runtime to quantize them",
            remedy: "use --format compressed-tensors, or --activations none", kind: .usage)
        }
        // Only float32 holds every product of a code and a scale exactly.
        tensors = [TensorDescriptor(name: name, dataType: .float32, shape: shape)]
        written = .dense(.float32)
      }
    }
    return Entry(name: name, shape: shape, storage: written, tensors: tensors)
  }

  /// Scales are stored in the type that the weight had: loaders cast them to the model's type, and what is rounded after quantizing is lost.
  private static func scaleType(of name: String, _ model: ModelBundle) -> DataType {
    if case .dense(let type)? = model.weights.describe(name)?.storage { return type == .float64 ? .float32 : type }
    return model.checkpoint.descriptor(CompressedTensorsEncoding.moduleName(ofParameter: name) + ".weight_scale")?.dataType ?? .bfloat16
  }

  /// The tensors of one weight with their values.
  func encode(_ weight: Weight, as entry: Entry) throws -> [(TensorDescriptor, Tensor)] {
    switch (weight, entry.storage) {
    case (.dense(let tensor), .dense(let type)):
      // What a pass changed is float32 until it is written.
      guard let stored = tensor.dataType == type ? tensor : tensor.converted(to: type) else {
        throw GraphError(tensor: entry.name, "cannot be stored as \(type)")
      }
      return [(entry.tensors[0], stored)]
    case (.quantized(let tensor), .quantized):
      if format == .keras {
        return try CompressedTensorsEncoding.encode(
          tensor.withScales(as: .float32), module: CompressedTensorsEncoding.moduleName(ofParameter: entry.name), format: .intQuantized)
      }
      return try CompressedTensorsEncoding.encode(tensor, module: CompressedTensorsEncoding.moduleName(ofParameter: entry.name))
    case (.quantized(let tensor), .dense): return [(entry.tensors[0], tensor.dequantized())]
    case (.dense, .quantized):
      throw GraphError(tensor: entry.name, "was to be quantized and is not")
    }
  }

  /// What the parameter holds after it was written and read again.
  func expected(_ weight: Weight, as entry: Entry) -> Weight {
    switch (weight, entry.storage) {
    case (.quantized(let tensor), .dense): .dense(tensor.dequantized())
    case (.quantized(let tensor), .quantized) where format == .keras: .quantized(KerasPreset.stored(tensor) ?? tensor)
    case (.dense(let tensor), .dense(let type)): .dense(tensor.converted(to: type) ?? tensor)
    default: weight
    }
  }
}
