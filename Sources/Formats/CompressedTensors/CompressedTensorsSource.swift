import Diagnostics
import Tensors

/// A checkpoint in compressed-tensors form as the model graph sees it: `<module>.weight` with its logical shape, however it is stored.
public struct CompressedTensorsSource: WeightSource {
  private enum Content {
    case dense(TensorDescriptor)
    case quantized(CompressedTensorsEncoding.StoredModule)
  }

  private let checkpoint: any Checkpoint
  private let contents: NameTable<Content>
  public let configuration: CompressedTensorsConfiguration

  /// Finds the quantized modules and checks that each is complete and belongs to a group. Codes and scales are not read.
  public init(checkpoint: any Checkpoint, configuration: CompressedTensorsConfiguration) throws(CheckpointError) {
    var entries: [(String, Content)] = []
    for descriptor in checkpoint.descriptors {
      let (module, part) = descriptor.path
      switch part {
      case "weight_packed":
        let stored = try Self.module(module, codes: descriptor, in: checkpoint, configuration)
        entries.append((Self.logicalName(module), .quantized(stored)))
      case "weight" where checkpoint.descriptor(Self.name("weight_scale", in: module)) != nil:
        guard checkpoint.descriptor(Self.name("weight_packed", in: module)) == nil else {
          throw CheckpointError.malformed(
            file: checkpoint.file(of: descriptor.name), tensor: descriptor.name, "it is stored both dense and packed",
            remedy: "fetch the checkpoint again")
        }
        let stored = try Self.module(module, codes: descriptor, in: checkpoint, configuration)
        entries.append((Self.logicalName(module), .quantized(stored)))
      case _ where Self.isPart(part):
        try Self.checkBelongs(descriptor, module: module, part: part, in: checkpoint, configuration)
      default:
        entries.append((descriptor.name, .dense(descriptor)))
      }
    }
    contents = NameTable(entries)
    self.checkpoint = checkpoint
    self.configuration = configuration
  }

  public var names: [String] { contents.entries.map(\.name) }

  public func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    switch contents[name] {
    case .dense(let descriptor): (descriptor.shape, .dense(descriptor.dataType))
    case .quantized(let module): (module.shape, .quantized(module.scheme))
    case nil: nil
    }
  }

  public func scaleType(_ name: String) -> DataType? {
    guard case .quantized(let module)? = contents[name] else { return nil }
    return checkpoint.descriptor(CompressedTensorsEncoding.Part.scale.name(in: module.name))?.dataType
  }

  public func storedByteCount(_ name: String) -> Int? {
    switch contents[name] {
    case .dense(let descriptor): descriptor.byteCount
    case .quantized: CompressedTensorsEncoding.partNames(ofParameter: name).reduce(0) { $0 + (checkpoint.descriptor($1)?.byteCount ?? 0) }
    case nil: nil
    }
  }

  public func load(_ name: String) throws -> Weight {
    switch contents[name] {
    case .dense(let descriptor): return .dense(try checkpoint.tensor(descriptor.name))
    case .quantized(let module): return .quantized(try module.load(from: checkpoint))
    case nil: throw CheckpointError.missingTensor(name, in: checkpoint.file(of: name))
    }
  }

  public func digest(_ name: String) throws -> String {
    if case .quantized(let module)? = contents[name] { return try module.digest(from: checkpoint) }
    return try load(name).digest()
  }

  public func release(_ name: String) {
    for part in CompressedTensorsEncoding.partNames(ofParameter: name) where checkpoint.descriptor(part) != nil { checkpoint.release(part) }
  }

  // MARK: - Names

  private static func name(_ part: String, in module: String) -> String { module.isEmpty ? part : "\(module).\(part)" }
  private static func logicalName(_ module: String) -> String { name("weight", in: module) }

  /// Whether a tensor of that name is a piece of a quantized module, known to this package or not.
  private static func isPart(_ part: String) -> Bool {
    ["weight", "input", "output"].contains { base in
      ["scale", "zero_point", "shape", "global_scale", "g_idx"].contains { part == "\(base)_\($0)" }
    } || ["k_scale", "v_scale", "q_scale"].contains(part)
  }

  // MARK: - Checks

  private static func module(
    _ module: String, codes: TensorDescriptor, in checkpoint: any Checkpoint, _ configuration: CompressedTensorsConfiguration
  ) throws(CheckpointError) -> CompressedTensorsEncoding.StoredModule {
    let file = checkpoint.file(of: codes.name)
    guard let group = configuration.group(of: module), let scheme = group.scheme else {
      throw CheckpointError.malformed(
        file: file, tensor: codes.name, "it is quantized, but no group of config.json says how",
        remedy: "config.json and the tensors do not belong together")
    }
    let isPacked = codes.name.hasSuffix("weight_packed")
    let format = group.format ?? CompressedTensorsFormat.unnamed(for: scheme, isPacked: isPacked)
    guard format.isPacked == isPacked, format.holds(scheme) else {
      throw CheckpointError.malformed(
        file: file, tensor: codes.name, "config.json says \(format.rawValue) of \(scheme.name), which keeps no such tensor",
        remedy: "config.json and the tensors do not belong together")
    }
    return try CompressedTensorsEncoding.StoredModule(name: module, scheme: scheme, format: format, in: checkpoint)
  }

  /// A piece that no quantized module uses means that something is missing, or that the values would be other than what is read.
  private static func checkBelongs(
    _ descriptor: TensorDescriptor, module: String, part: String, in checkpoint: any Checkpoint,
    _ configuration: CompressedTensorsConfiguration
  ) throws(CheckpointError) {
    let file = checkpoint.file(of: descriptor.name)
    let isPacked = checkpoint.descriptor(name("weight_packed", in: module)) != nil
    let isStored = isPacked || checkpoint.descriptor(logicalName(module)) != nil
    let scheme = configuration.group(of: module)?.scheme
    if part == "input_scale", isStored, scheme?.activations == .int8Static { return }
    guard part.hasPrefix("weight_"), isStored else {
      let missing = name("weight_packed", in: module)
      throw CheckpointError.malformed(
        file: file, tensor: descriptor.name,
        part.hasPrefix("weight_")
          ? "the codes that it belongs to are missing: \(missing)" : "the scheme \(scheme?.name ?? "of its module") has no such tensor",
        remedy: part.hasPrefix("weight_")
          ? "fetch the whole checkpoint again" : "supported are symmetric int8 activations, dynamic per token or static per tensor")
    }
    let isKnown =
      part == "weight_scale" || (part == "weight_shape" && isPacked) || (part == "weight_zero_point" && scheme?.symmetric == false)
      || (part == "weight_global_scale" && scheme?.scales == .float8)
    guard isKnown else {
      throw CheckpointError.malformed(
        file: file, tensor: descriptor.name, "the scheme \(scheme?.name ?? "of its module") has no such tensor",
        remedy: "config.json and the tensors do not belong together")
    }
  }
}
