import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// safetensors as mlx-lm writes and loads them, and the programs for Apple's processors that follow it.
struct MLXOutput: OutputEncoding {
  private let modelType: String?
  /// Layers beside the model's own, which mlx-lm has no place for.
  private let strayLayers: Set<String>

  /// - Parameter configuration: the model's config.json as the passes leave it.
  init(_ model: ModelBundle, _ configuration: JSONObject) throws {
    try MLXConfiguration.checkFamily(configuration)
    guard configuration["deepseek_optimize"] == nil else {
      throw RecipeError(
        "--format mlx", "cannot hold modules that were replaced: mlx-lm does not know them", remedy: "use --format compressed-tensors",
        kind: .usage)
    }
    modelType = configuration["model_type"]?.string
    strayLayers = Set(model.strayLayers)
  }

  func stack(of module: String) -> String? { ExpertStack(of: module)?.path }

  func omits(_ name: String) -> Bool { strayLayers.contains(name) || name.hasSuffix(".rotary_emb.inv_freq") }

  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry {
    switch weight.storage {
    case .dense(let type):
      guard [.float32, .float16, .bfloat16, .int64, .int32].contains(type) else {
        throw RecipeError(
          weight.name, "is \(type.rawValue), which mlx-lm does not compute with", remedy: "use --format safetensors", kind: .usage)
      }
      let descriptor = TensorDescriptor(name: weight.name, dataType: type, shape: weight.shape)
      return OutputLayout.Entry(weight, storage: weight.storage, tensors: Self.sliced([descriptor], of: weight.module))
    case .quantized(let scheme):
      guard !(MLXConfiguration.changesLatentProjection(of: modelType) && weight.module.hasSuffix(".kv_b_proj")) else {
        throw RecipeError(
          weight.module, "would be quantized anew by mlx-lm as it loads it, to other values",
          remedy: "leave it as it is, which it is where no rule names it, or use --format compressed-tensors", kind: .usage)
      }
      let form = Self.form(of: scheme, inputs: weight.shape[1], isPassedOn: weight.stored != nil)
      let tensors = try MLXEncoding.descriptors(module: weight.module, scheme: form, shape: weight.shape, scaleType: weight.scaleType)
      if form.offset == .zeroPoint || form.scales == .float8 {
        guard let tensor = try weight.storedCodes() else { throw Self.planned(form, weight.module) }
        _ = try MLXEncoding.stored(tensor, module: weight.module)
      }
      let storage = WeightStorage.quantized(try MLXSettings(for: form, inputs: weight.shape[1]).scheme)
      return OutputLayout.Entry(weight, storage: storage, tensors: Self.sliced(tensors, of: weight.module))
    }
  }

  /// What a pass is to make and MLX keeps of few weights alone.
  private static func planned(_ scheme: QuantizationScheme, _ module: String) -> RecipeError {
    guard scheme.offset == .zeroPoint else {
      return RecipeError(
        module, "is to be NVFP4, which has a scale of the whole weight that mlx does not keep", remedy: MLXEncoding.sharedScaleRemedy,
        kind: .usage)
    }
    return RecipeError(
      module, "is to have zero points, and mlx keeps minima: products of few of them with a scale are values of its type",
      remedy: "use --method asymmetric without a recipe, or `type: affine` in it", kind: .usage)
  }

  /// Groups of MLX's in the place of larger ones, or of a scale per channel, for codes that are passed on: each has the scale of the larger.
  private static func form(of scheme: QuantizationScheme, inputs: Int, isPassedOn: Bool) -> QuantizationScheme {
    guard isPassedOn, let size = groupSize(for: scheme, inputs: inputs) else { return scheme }
    var scheme = scheme
    scheme.granularity = .group(size)
    return scheme
  }

  private static func form(of tensor: QuantizedTensor) -> QuantizedTensor {
    groupSize(for: tensor.scheme, inputs: tensor.inputs).flatMap(tensor.withGroups) ?? tensor
  }

  /// The largest groups of MLX's that larger ones are made of; nil where a scheme needs none.
  private static func groupSize(for scheme: QuantizationScheme, inputs: Int) -> Int? {
    let sizes = [128, 64, 32]
    if case .group(let size) = scheme.granularity, sizes.contains(size) { return nil }
    if case .block = scheme.granularity { return nil }
    guard scheme.scales == .direct, scheme.levels == .even else { return nil }
    return sizes.first { inputs % $0 == 0 && scheme.granularity.groupSize(inputs: inputs) % $0 == 0 }
  }

  func check(_ layout: OutputLayout) throws { _ = try Self.stacks(of: layout) }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    let encoded: [(TensorDescriptor, Tensor)]
    if case .quantized(let tensor) = weight, case .quantized = entry.storage {
      encoded = try MLXEncoding.encode(Self.form(of: tensor), module: entry.module)
    } else {
      encoded = try encodeDense(weight, as: entry)
    }
    return zip(entry.tensors, encoded).map { ($0, $1.1) }
  }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight {
    // What cannot be stored was refused as it was encoded.
    let form = Self.form(of: tensor)
    return .quantized((try? MLXEncoding.stored(form, module: entry.module)) ?? form)
  }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    var object = try MLXConfiguration.model(object)
    var caveats: [String] = []
    if !strayLayers.isEmpty {
      object = object.withoutPredictionLayers
      caveats.append("layers that predict several tokens at once are left out: mlx-lm does not load them")
    }
    var layers: [(path: String, settings: MLXSettings)] = []
    var known = Set<TensorName>()
    for (name, scheme, shape) in output.quantized {
      let path = ExpertStack(of: name)?.path ?? name
      guard known.insert(TensorName(path)).inserted else { continue }
      layers.append((path, try MLXSettings(for: scheme, inputs: shape[1])))
    }
    guard !layers.isEmpty else { return OutputConfiguration(json: .object(object), caveats: caveats) }
    let dense = output.dense.map { ExpertStack(of: $0)?.path ?? $0 }.filter { known.insert(TensorName($0)).inserted }
    let settings = MLXConfiguration.json(layers: layers, dense: dense)
    object["quantization"] = settings
    object["quantization_config"] = settings
    return OutputConfiguration(json: .object(object), caveats: caveats)
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    let (tensors, slices) = try Self.stacks(of: layout)
    let writer = try SafeTensorsWriter(
      directory: output.directory, tensors: tensors, slices: slices, metadata: ["format": "mlx"], role: output.role,
      resumingAfter: output.written, observer: output.observer)
    if output.written != nil { try writer.suspend() }
    return writer
  }

  // MARK: - Experts

  /// What an expert's tensors are written under: slices of those of all experts.
  private static func sliced(_ tensors: [TensorDescriptor], of module: String) -> [TensorDescriptor] {
    guard let stack = ExpertStack(of: module) else { return tensors }
    return zip(MLXEncoding.partNames, tensors).map { part, tensor in
      TensorDescriptor(name: "\(stack.path).\(part)[\(stack.index)]", dataType: tensor.dataType, shape: tensor.shape)
    }
  }

  /// The tensors of the output, those of experts put together.
  /// - Throws: when experts of a layer differ, which MLX cannot hold.
  private static func stacks(of layout: OutputLayout) throws -> (tensors: [TensorDescriptor], slices: [(tensor: String, names: [String])]) {
    var tensors: [TensorDescriptor] = []
    var members: [TensorName: [(index: Int, entry: OutputLayout.Entry)]] = [:]
    for entry in layout.entries {
      if let stack = ExpertStack(of: entry.module) {
        members[TensorName(stack.path), default: []].append((stack.index, entry))
      } else {
        tensors += entry.tensors
      }
    }
    var slices: [(tensor: String, names: [String])] = []
    var placed = Set<TensorName>()
    for entry in layout.entries {
      guard let path = ExpertStack(of: entry.module)?.path, placed.insert(TensorName(path)).inserted else { continue }
      let experts = (members[TensorName(path)] ?? []).sorted { $0.index < $1.index }
      for (place, expert) in experts.enumerated() {
        guard expert.index == place else {
          throw RecipeError(path, "lacks expert \(place)", remedy: "fetch the checkpoint again", kind: .badData)
        }
        guard expert.entry.storage == entry.storage,
          zip(expert.entry.tensors, entry.tensors).allSatisfy({ $0.dataType == $1.dataType && $0.shape == $1.shape })
        else {
          throw RecipeError(
            expert.entry.module,
            "is to be stored otherwise than \(entry.module): MLX keeps the weights of all experts of a layer in one tensor",
            remedy: "give all of them the same settings", kind: .usage)
        }
      }
      for (part, tensor) in zip(MLXEncoding.partNames, entry.tensors) {
        let name = "\(path).\(part)"
        tensors.append(
          TensorDescriptor(name: name, dataType: tensor.dataType, shape: Shape([experts.count] + tensor.shape.dimensions)))
        slices.append((name, (0..<experts.count).map { "\(name)[\($0)]" }))
      }
    }
    return (tensors, slices)
  }
}
