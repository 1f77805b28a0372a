import Diagnostics
import Tensors

/// The projection out of latent attention's latents, `….self_attn.kv_b_proj`, which mlx-lm keeps for DeepSeek-V3 as two tensors of all heads: of
/// `embed_q`, `[heads, rank, keys]`, it is the transpose, and of `unembed_out`, `[heads, values, rank]`, it is what follows. Quantized, the first
/// has its groups along the other axis than the projection has its inputs, so it is read as the values that the codes stand for.
struct LatentProjection: Sendable {
  enum Role { case keys, values }

  /// One of the two.
  struct Half: Sendable {
    let path: String
    let role: Role
    let descriptor: TensorDescriptor
    let layer: MLXLayer?

    /// `[heads, rows, columns]`; nil when it is no such tensor.
    var extent: (heads: Int, rows: Int, columns: Int)? {
      let sizes = descriptor.shape.dimensions
      guard sizes.count == 3, sizes.allSatisfy({ (1...1 << 24).contains($0) }) else { return nil }
      return layer.map { ($0.count ?? 1, $0.shape[0], $0.shape[1]) } ?? (sizes[0], sizes[1], sizes[2])
    }

    /// All values as float32, `[heads, rows, columns]` one after the other.
    func values(from checkpoint: any Checkpoint) throws(CheckpointError) -> [Float] {
      guard let layer else { return try checkpoint.tensor(descriptor.name).float32Values() ?? [] }
      var values: [Float] = []
      for index in 0..<(layer.count ?? 1) { values += try layer.load(index, from: checkpoint).dequantized().float32Values() ?? [] }
      return values
    }
  }

  private let keys: Half
  private let values: Half
  /// `[heads · (keys + values), rank]`.
  let shape: Shape
  let dataType: DataType

  var byteCount: Int {
    [keys, values].reduce(0) { $0 + ($1.layer.map { $0.byteCount * ($0.count ?? 1) } ?? $1.descriptor.byteCount ?? 0) }
  }

  /// `model.layers.0.self_attn.kv_b_proj` for either half; nil for any other path.
  static func module(of path: String) -> (module: String, role: Role)? {
    for (ending, role) in [(".self_attn.embed_q", Role.keys), (".self_attn.unembed_out", Role.values)] where path.hasSuffix(ending) {
      return (path.dropLast(ending.count) + ".self_attn.kv_b_proj", role)
    }
    return nil
  }

  init(_ module: String, _ halves: [Half], in checkpoint: any Checkpoint) throws(CheckpointError) {
    func malformed(_ problem: String) -> CheckpointError {
      let name = halves.first?.descriptor.name ?? module
      return CheckpointError.malformed(file: checkpoint.file(of: name), tensor: name, problem, remedy: "fetch the whole checkpoint again")
    }
    guard let keys = halves.first(where: { $0.role == .keys }), let values = halves.first(where: { $0.role == .values }) else {
      throw malformed("the other half of \(CheckpointError.shortened(module)) is missing")
    }
    guard let left = keys.extent, let right = values.extent, left.heads == right.heads, left.rows == right.columns,
      [keys, values].allSatisfy({ $0.layer != nil || $0.descriptor.dataType.isFloatingPoint })
    else {
      throw malformed("\(keys.descriptor.shape) and \(values.descriptor.shape) are no two halves of a projection")
    }
    shape = [left.heads * (left.columns + right.rows), left.rows]
    guard shape.checkedElementCount != nil else { throw malformed("its halves are too large") }
    let isDense = keys.layer == nil && values.layer == nil && keys.descriptor.dataType == values.descriptor.dataType
    dataType = isDense ? keys.descriptor.dataType : .float32
    (self.keys, self.values) = (keys, values)
  }

  func load(from checkpoint: any Checkpoint) throws(CheckpointError) -> Tensor {
    guard let left = keys.extent, let right = values.extent else {
      throw CheckpointError.missingTensor(keys.descriptor.name, in: checkpoint.file(of: keys.descriptor.name))
    }
    let (keyValues, valueValues) = (try keys.values(from: checkpoint), try values.values(from: checkpoint))
    let (rank, keyRows, valueRows) = (left.rows, left.columns, right.rows)
    guard keyValues.count == left.heads * keyRows * rank, valueValues.count == left.heads * valueRows * rank else {
      throw CheckpointError.missingTensor(keys.descriptor.name, in: checkpoint.file(of: keys.descriptor.name))
    }
    let tensor = Tensor(dataType: .float32, shape: shape) { target in
      for head in 0..<left.heads {
        let start = head * (keyRows + valueRows) * rank
        keyValues.withUnsafeBytes {
          transpose($0, at: head * rank * keyRows, rows: rank, columns: keyRows, into: target, at: start, width: 4)
        }
        let behind = (start + keyRows * rank) * 4, bytes = valueRows * rank * 4
        valueValues.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(rebasing: target[behind..<behind + bytes])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[head * bytes..<(head + 1) * bytes]))
        }
      }
    }
    return dataType == .float64 ? tensor : tensor.converted(to: dataType) ?? tensor
  }

  func release(in checkpoint: any Checkpoint) {
    for half in [keys, values] {
      for part in MLXEncoding.Part.allCases where checkpoint.descriptor(part.name(in: half.path)) != nil {
        checkpoint.release(part.name(in: half.path))
      }
    }
  }
}
