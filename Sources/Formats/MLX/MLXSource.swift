import Diagnostics
import Tensors

/// A checkpoint of mlx-lm as the model graph sees it: `<module>.weight` with its logical shape, quantized or not, each expert by itself, and
/// the projection that latent attention's two halves were cut from.
public struct MLXSource: WeightSource {
  private enum Content {
    case dense(TensorDescriptor)
    /// One of several weights in a tensor.
    case denseOf(TensorDescriptor, Int)
    case quantized(MLXLayer, Int?)
    case latent(LatentProjection)
  }

  private let checkpoint: any Checkpoint
  private let contents: NameTable<Content>

  /// Whether the checkpoint is one of mlx-lm's, though none of its layers are quantized.
  static func isRecognized(_ checkpoint: any Checkpoint) -> Bool {
    checkpoint.descriptors.contains { $0.name.hasSuffix(".weight") && ExpertStack.modules(of: String($0.name.dropLast(7))) != nil }
  }

  /// Finds the quantized layers and checks that each is complete. Codes and scales are not read.
  public init(checkpoint: any Checkpoint, configuration: MLXConfiguration) throws(CheckpointError) {
    var entries: [(String, Content)] = []
    var halves: [String: [LatentProjection.Half]] = [:]
    for descriptor in checkpoint.descriptors {
      let (path, part) = descriptor.path
      switch part {
      case "weight":
        let layer = try Self.layer(path, codes: descriptor, in: checkpoint, configuration)
        if let (module, role) = LatentProjection.module(of: path) {
          halves[module, default: []].append(LatentProjection.Half(path: path, role: role, descriptor: descriptor, layer: layer))
        } else if let (before, behind) = ExpertStack.modules(of: path) {
          for index in 0..<(try Self.count(descriptor, in: checkpoint)) {
            let name = "\(before)\(index)\(behind).weight"
            entries.append((name, layer.map { .quantized($0, index) } ?? .denseOf(descriptor, index)))
          }
        } else if let layer {
          guard layer.count == nil else {
            throw Self.unexpected(descriptor, "it holds several weights, and is none of experts", checkpoint)
          }
          entries.append((descriptor.name, .quantized(layer, nil)))
        } else {
          entries.append((descriptor.name, .dense(descriptor)))
        }
      case "scales", "biases", "global_scale":
        guard checkpoint.descriptor(MLXEncoding.Part.weight.name(in: path)) != nil,
          part == "scales" || checkpoint.descriptor(MLXEncoding.Part.scales.name(in: path)) != nil
        else { throw Self.unexpected(descriptor, "the codes and scales that it belongs to are missing", checkpoint) }
      default: entries.append((descriptor.name, .dense(descriptor)))
      }
    }
    for (module, halves) in halves {
      entries.append(("\(module).weight", .latent(try LatentProjection(module, halves, in: checkpoint))))
    }
    contents = NameTable(entries)
    self.checkpoint = checkpoint
    if let name = contents.duplicate {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: name), tensor: name, "it is there both by itself and in a tensor of several",
        remedy: "fetch the checkpoint again")
    }
  }

  private static func layer(
    _ path: String, codes: TensorDescriptor, in checkpoint: any Checkpoint, _ configuration: MLXConfiguration
  ) throws(CheckpointError) -> MLXLayer? {
    guard checkpoint.descriptor(MLXEncoding.Part.scales.name(in: path)) != nil else {
      guard codes.dataType == .uint32 else { return nil }
      throw unexpected(codes, "its scales are missing", checkpoint)
    }
    guard let settings = configuration.settings(of: path) else {
      throw unexpected(codes, "it is quantized, but config.json says that it is not, or not how", checkpoint)
    }
    return try MLXLayer(path, codes: codes, settings: settings, in: checkpoint)
  }

  private static func count(_ stack: TensorDescriptor, in checkpoint: any Checkpoint) throws(CheckpointError) -> Int {
    guard stack.shape.rank == 3, (1...ExpertStack.maximumCount).contains(stack.shape[0]) else {
      throw unexpected(stack, "\(stack.shape) is no shape of the weights of experts", checkpoint)
    }
    return stack.shape[0]
  }

  private static func unexpected(_ tensor: TensorDescriptor, _ problem: String, _ checkpoint: any Checkpoint) -> CheckpointError {
    CheckpointError.malformed(
      file: checkpoint.file(of: tensor.name), tensor: tensor.name, problem, remedy: "config.json and the tensors do not belong together")
  }

  // MARK: - WeightSource

  public var names: [String] { contents.entries.map(\.name) }

  public func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    switch contents[name] {
    case .dense(let descriptor): (descriptor.shape, .dense(descriptor.dataType))
    case .denseOf(let descriptor, _): (Shape(Array(descriptor.shape.dimensions.dropFirst())), .dense(descriptor.dataType))
    case .quantized(let layer, _): (layer.shape, .quantized(layer.settings.scheme))
    case .latent(let projection): (projection.shape, .dense(projection.dataType))
    case nil: nil
    }
  }

  public func scaleType(_ name: String) -> DataType? {
    if case .quantized(let layer, _)? = contents[name] { layer.scaleType } else { nil }
  }

  public func storedByteCount(_ name: String) -> Int? {
    switch contents[name] {
    case .dense(let descriptor): descriptor.byteCount
    case .denseOf(let descriptor, _): descriptor.byteCount.map { $0 / max(1, descriptor.shape[0]) }
    case .quantized(let layer, _): layer.byteCount
    case .latent(let projection): projection.byteCount
    case nil: nil
    }
  }

  public func load(_ name: String) throws -> Weight {
    switch contents[name] {
    case .dense(let descriptor): return .dense(try checkpoint.tensor(descriptor.name))
    case .denseOf(let descriptor, let index):
      let whole = try checkpoint.tensor(descriptor.name)
      guard let one = whole.rows(index..<index + 1)?.reshaped(Shape(Array(whole.shape.dimensions.dropFirst()))) else { break }
      return .dense(one)
    case .quantized(let layer, let index): return .quantized(try layer.load(index, from: checkpoint))
    case .latent(let projection): return .dense(try projection.load(from: checkpoint))
    case nil: break
    }
    throw CheckpointError.missingTensor(name, in: checkpoint.file(of: name))
  }

  /// A stack is let go with the last of its experts.
  public func release(_ name: String) {
    switch contents[name] {
    case .denseOf(let descriptor, let index) where index < descriptor.shape[0] - 1: break
    case .quantized(let layer, let index?) where index < (layer.count ?? 1) - 1: break
    case .dense(let descriptor), .denseOf(let descriptor, _): checkpoint.release(descriptor.name)
    case .quantized(let layer, _):
      for part in MLXEncoding.Part.allCases where checkpoint.descriptor(part.name(in: layer.path)) != nil {
        checkpoint.release(part.name(in: layer.path))
      }
    case .latent(let projection): projection.release(in: checkpoint)
    case nil: break
    }
  }
}
