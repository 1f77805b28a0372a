import Diagnostics
import StructuredData
import Tensors

/// A checkpoint of GPTQ or AWQ as the model graph sees it: `<module>.weight` with its logical shape.
public struct ColumnPackedSource: WeightSource {
  private enum Content {
    case dense(TensorDescriptor)
    case quantized(ColumnPackedModule)
  }

  private let checkpoint: any Checkpoint
  private let contents: NameTable<Content>

  /// How much of the groups of inputs is looked at on opening. Dense models of 70 billion weights have 25 MB of them; the rest, of experts, is
  /// checked as each module is loaded.
  private static let groupBytes = 1 << 26

  /// Finds the quantized modules and checks that each is complete, and that its groups follow the order of its inputs: a run that cannot end
  /// should not begin. Codes and scales are not read.
  /// - Parameter settings: `quantization_config`, with "gptq" or "awq" for its method.
  public init(checkpoint: any Checkpoint, settings: JSONValue) throws(CheckpointError) {
    let configuration = try ColumnPackedConfiguration(parsing: settings)
    var entries: [(String, Content)] = []
    var looked = 0
    for descriptor in checkpoint.descriptors {
      let (module, part) = descriptor.path
      switch ColumnPackedEncoding.Part(rawValue: part) {
      case .codes:
        let name = module.isEmpty ? "weight" : "\(module).weight"
        guard checkpoint.descriptor(name) == nil else {
          throw CheckpointError.malformed(
            file: checkpoint.file(of: descriptor.name), tensor: descriptor.name, "it is stored both dense and packed",
            remedy: "fetch the checkpoint again")
        }
        guard let scheme = configuration.scheme(of: module) else {
          throw CheckpointError.malformed(
            file: checkpoint.file(of: descriptor.name), tensor: descriptor.name,
            "it is quantized, though a rule of \"dynamic\" leaves it out",
            remedy: "the configuration and the tensors do not belong together")
        }
        let stored = try ColumnPackedModule(name: module, encoding: configuration.encoding, scheme: scheme, in: checkpoint)
        if checkpoint.holdsValues, looked < Self.groupBytes { looked += try stored.checkGroups(checkpoint) }
        entries.append((name, .quantized(stored)))
      case .zeroPoints, .groups: try Self.checkBelongs(descriptor, module, in: checkpoint)
      case .scales where checkpoint.descriptor(ColumnPackedEncoding.Part.codes.name(in: module)) != nil: continue
      default: entries.append((descriptor.name, .dense(descriptor)))
      }
    }
    contents = NameTable(entries)
    self.checkpoint = checkpoint
  }

  private static func checkBelongs(_ part: TensorDescriptor, _ module: String, in checkpoint: any Checkpoint) throws(CheckpointError) {
    let codes = ColumnPackedEncoding.Part.codes.name(in: module)
    guard checkpoint.descriptor(codes) != nil else {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: part.name), tensor: part.name, "the codes that it belongs to are missing: \(codes)",
        remedy: "fetch the whole checkpoint again")
    }
  }

  private static func partNames(of module: ColumnPackedModule) -> [String] {
    ColumnPackedEncoding.Part.allCases.map { $0.name(in: module.name) }
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
    return checkpoint.descriptor(ColumnPackedEncoding.Part.scales.name(in: module.name))?.dataType
  }

  public func storedByteCount(_ name: String) -> Int? {
    switch contents[name] {
    case .dense(let descriptor): descriptor.byteCount
    case .quantized(let module): Self.partNames(of: module).reduce(0) { $0 + (checkpoint.descriptor($1)?.byteCount ?? 0) }
    case nil: nil
    }
  }

  public func load(_ name: String) throws -> Weight {
    switch contents[name] {
    case .dense(let descriptor): return .dense(try checkpoint.tensor(descriptor.name))
    case .quantized(let module):
      let weight = try module.load(from: checkpoint)
      // What was read is there in another order: the pages would stay for nothing.
      release(name)
      return .quantized(weight)
    case nil: throw CheckpointError.missingTensor(name, in: checkpoint.file(of: name))
    }
  }

  public func release(_ name: String) {
    switch contents[name] {
    case .dense(let descriptor): checkpoint.release(descriptor.name)
    case .quantized(let module):
      for part in Self.partNames(of: module) where checkpoint.descriptor(part) != nil { checkpoint.release(part) }
    case nil: break
    }
  }
}
