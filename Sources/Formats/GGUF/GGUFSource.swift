import Diagnostics
import StructuredData
import Tensors

/// A GGUF file as the model graph sees it: parameters by the names and in the layouts that Hugging Face checkpoints have, whatever the file
/// calls them and however it orders, stacks or splits them.
public struct GGUFSource: WeightSource {
  /// How a parameter lies in the file.
  private enum Content: Sendable {
    /// In a tensor, or in a part of one.
    case one(GGUFTensor, GGUFTransform)
    /// `kv_b_proj`: its keys and its values in a tensor each.
    case latent(keys: GGUFTensor, values: GGUFTensor, GGUFLatentHeads)
  }

  private let checkpoint: GGUFCheckpoint
  private let contents: NameTable<Content>

  /// Finds every parameter of the model in the file. No values are read.
  public init(checkpoint: GGUFCheckpoint, model: GGUFModel) throws(CheckpointError) {
    var entries: [(String, Content)] = []
    var pending: [String: GGUFTensor] = [:]
    for tensor in checkpoint.tensors {
      for origin in try model.origins(of: tensor.name) {
        switch origin.transform {
        case .latentKeys(let heads), .latentValues(let heads):
          guard let other = pending.removeValue(forKey: origin.parameter) else {
            pending[origin.parameter] = tensor
            continue
          }
          let isKeys = origin.transform.transposesHeads
          entries.append((origin.parameter, .latent(keys: isKeys ? tensor : other, values: isKeys ? other : tensor, heads)))
        default: entries.append((origin.parameter, .one(tensor, origin.transform)))
        }
      }
    }
    if let half = pending.values.map(\.name).min() {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: half) ?? checkpoint.files[0], tensor: half, "the other half of the latents' projection is missing",
        remedy: "fetch the file again")
    }
    contents = NameTable(entries)
    if let twice = contents.duplicate {
      throw CheckpointError.malformed(file: checkpoint.files[0], "two of its tensors hold the parameter \(twice)")
    }
    self.checkpoint = checkpoint
  }

  public var names: [String] { contents.entries.map(\.name) }

  public func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    guard let content = contents[name], let shape = try? Self.shape(content) else { return nil }
    switch content {
    case .one(let tensor, _):
      if let type = tensor.type.dataType { return (shape, .dense(type)) }
      return BlockCodec(number: tensor.type.rawValue).map { (shape, .quantized($0.scheme)) }
    case .latent(let keys, let values, _): return (shape, .dense(Self.commonType(keys, values)))
    }
  }

  public func scaleType(_ name: String) -> DataType? {
    guard case .quantized(let scheme)? = describe(name)?.storage else { return nil }
    return scheme.scales == .direct ? .float16 : .float32
  }

  public func storedByteCount(_ name: String) -> Int? {
    switch contents[name] {
    case .one(let tensor, .slice(_, let count)): tensor.range.count / max(1, count)
    case .one(let tensor, _): tensor.range.count
    case .latent(let keys, let values, _): keys.range.count + values.range.count
    case nil: nil
    }
  }

  public func load(_ name: String) throws -> Weight {
    guard let content = contents[name] else { throw CheckpointError.missingTensor(name, in: checkpoint.files[0]) }
    let shape = try Self.shape(content)
    switch content {
    case .one(let tensor, let transform):
      var values = try checkpoint.tensor(tensor.name)
      if case .slice(let index, _) = transform, let slice = values.rows(index..<index + 1) { values = slice }
      return try weight(tensor, values, shape: shape, order: Self.order(transform, rows: shape[0]))
    case .latent(let keys, let values, let heads): return .dense(try join(keys, values, heads, shape: shape))
    }
  }

  /// A stack is let go with the last of its slices.
  public func release(_ name: String) {
    switch contents[name] {
    case .one(_, .slice(let index, let count)) where index < count - 1: break
    case .one(let tensor, _): checkpoint.release(tensor.name)
    case .latent(let keys, let values, _):
      checkpoint.release(keys.name)
      checkpoint.release(values.name)
    case nil: break
    }
  }

  private static func shape(_ content: Content) throws(CheckpointError) -> Shape {
    switch content {
    case .one(let tensor, let transform): Shape(try transform.parameterShape(of: tensor.dimensions))
    case .latent(let keys, _, let heads): Shape(try GGUFTransform.latentKeys(heads).parameterShape(of: keys.dimensions))
    }
  }

  /// For each row of the parameter the row of the tensor; nil where they are the same.
  private static func order(_ transform: GGUFTransform, rows: Int) throws(CheckpointError) -> [Int]? {
    guard case .rotaryPermutation = transform else { return nil }
    return try transform.inverse(rows: rows).compactMap(\.self)
  }

  private func weight(_ tensor: GGUFTensor, _ values: Tensor, shape: Shape, order: [Int]?) throws(CheckpointError) -> Weight {
    if tensor.type.dataType != nil {
      guard let values = values.reshaped(shape) else { throw unfit(tensor, shape) }
      return .dense(order.map(values.gatheringRows) ?? values)
    }
    guard let weight = BlockCodec(number: tensor.type.rawValue)?.decode(values, shape: shape) else { throw unfit(tensor, shape) }
    _ = try weight.requiringNumbers(scales: tensor.name, in: checkpoint)
    guard let order else { return .quantized(weight) }
    guard let ordered = weight.withRows(order) else { throw unfit(tensor, shape) }
    return .quantized(ordered)
  }

  private func unfit(_ tensor: GGUFTensor, _ shape: Shape) -> CheckpointError {
    CheckpointError.malformed(
      file: checkpoint.file(of: tensor.name) ?? checkpoint.files[0], tensor: tensor.name,
      "its values do not make a \(tensor.type.name) weight of shape \(shape)")
  }

  /// What both halves are kept in, or float32 where one of them is codes.
  private static func commonType(_ keys: GGUFTensor, _ values: GGUFTensor) -> DataType {
    guard let type = keys.type.dataType, type == values.type.dataType, type.isFloatingPoint, type.bitWidth <= 32 else { return .float32 }
    return type
  }

  /// `[heads · (key rows + value rows), latent]` from the keys `[heads, latent, key rows]` and the values `[heads, value rows, latent]`.
  private func join(_ keys: GGUFTensor, _ values: GGUFTensor, _ heads: GGUFLatentHeads, shape: Shape) throws(CheckpointError) -> Tensor {
    guard heads.heads > 0, shape[0] == heads.heads * (heads.keyRows + heads.valueRows), values.dimensions.last == shape[1] else {
      throw unfit(values, shape)
    }
    let type = Self.commonType(keys, values)
    let (keys, values) = (try plain(keys, as: type), try plain(values, as: type))
    let (latent, width) = (shape[1], type.bitWidth / 8)
    return Tensor(dataType: type, shape: shape) { target in
      keys.withUnsafeBytes { keys in
        values.withUnsafeBytes { values in
          for head in 0..<heads.heads {
            let first = head * (heads.keyRows + heads.valueRows)
            transpose(
              keys, at: head * latent * heads.keyRows, rows: latent, columns: heads.keyRows, into: target, at: first * latent, width: width)
            let bytes = heads.valueRows * latent * width
            UnsafeMutableRawBufferPointer(
              rebasing: target[(first + heads.keyRows) * latent * width..<(first + heads.keyRows) * latent * width + bytes]
            )
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: values[head * bytes..<(head + 1) * bytes]))
          }
        }
      }
    }
  }

  /// A tensor of three axes as plain numbers.
  private func plain(_ tensor: GGUFTensor, as type: DataType) throws(CheckpointError) -> Tensor {
    let values = try checkpoint.tensor(tensor.name)
    let rows = tensor.dimensions.dropLast().reduce(1, *)
    let shape = Shape([rows, tensor.dimensions.last ?? 1])
    guard let plain = try weight(tensor, values, shape: shape, order: nil).float32()?.converted(to: type) else {
      throw unfit(tensor, shape)
    }
    return plain
  }
}
