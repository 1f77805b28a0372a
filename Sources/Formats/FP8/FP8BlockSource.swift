import Diagnostics
import StructuredData
import Tensors

/// A checkpoint whose linear layers are eight-bit floats (E4M3) with a scale per block of 128 by 128, as DeepSeek-V3 and R1 are published:
/// `<module>.weight` and `<module>.weight_scale_inv`, which, whatever its name says, codes are multiplied by.
///
/// Weights are dequantized as they are read, to the type that config.json names: the values that every loader computes with.
public struct FP8BlockSource: WeightSource {
  private let checkpoint: any Checkpoint
  private struct Content {
    let descriptor: TensorDescriptor
    /// Bytes of the tensor and of its scales.
    let byteCount: Int
  }

  private let contents: NameTable<Content>
  private let block: (rows: Int, columns: Int)
  private let type: DataType

  private static let scaleEnding = "_scale_inv"

  /// Checks that every code has its scales. None are read.
  /// - Parameters:
  ///   - settings: `quantization_config`.
  ///   - type: that weights are dequantized to.
  public init(checkpoint: any Checkpoint, settings: JSONValue, type: DataType) throws(CheckpointError) {
    func refused(_ key: String, _ problem: String) -> CheckpointError {
      CheckpointError(
        kind: .badData, subject: "config.json, quantization_config: \(key)", problem: problem,
        remedy: "supported is fp8 in e4m3 with weight_block_size [128, 128]")
    }
    if let format = settings["fmt"], format.string != "e4m3" { throw refused("fmt", "is \(format.text(pretty: false).prefix(40))") }
    let sizes = settings["weight_block_size"]?.array?.compactMap(\.integer) ?? []
    guard sizes.count == 2, sizes.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw refused("weight_block_size", "is not two sizes of a block")
    }
    block = (sizes[0], sizes[1])
    var entries: [(String, Content)] = []
    let descriptors = checkpoint.descriptors
    // Every code has scales of its own: as many of one as of the other leave none over.
    var (coded, scales) = (0, 0)
    for descriptor in descriptors {
      guard !descriptor.name.hasSuffix(Self.scaleEnding) else {
        scales += 1
        continue
      }
      let isCoded = descriptor.dataType == .float8E4M3
      if isCoded { coded += 1 }
      let scaleBytes = isCoded ? try Self.check(descriptor, in: checkpoint, block).byteCount ?? 0 : 0
      entries.append((descriptor.name, Content(descriptor: descriptor, byteCount: (descriptor.byteCount ?? 0) + scaleBytes)))
    }
    contents = NameTable(entries)
    for descriptor in descriptors where coded < scales && descriptor.name.hasSuffix(Self.scaleEnding) {
      guard contents[String(descriptor.name.dropLast(Self.scaleEnding.count))] != nil else {
        throw CheckpointError.malformed(
          file: checkpoint.file(of: descriptor.name), tensor: descriptor.name, "the codes that it belongs to are missing",
          remedy: "fetch the whole checkpoint again")
      }
    }
    (self.checkpoint, self.type) = (checkpoint, type)
  }

  /// - Returns: the scales of these codes.
  private static func check(
    _ codes: TensorDescriptor, in checkpoint: any Checkpoint, _ block: (rows: Int, columns: Int)
  ) throws(CheckpointError) -> TensorDescriptor {
    let name = codes.name + scaleEnding
    let file = checkpoint.file(of: codes.name)
    guard codes.shape.rank == 2, let scales = checkpoint.descriptor(name) else {
      throw CheckpointError.malformed(
        file: file, tensor: codes.name, codes.shape.rank == 2 ? "its scales are missing: \(name)" : "is no matrix",
        remedy: "fetch the whole checkpoint again")
    }
    let grid: Shape = [(codes.shape[0] + block.rows - 1) / block.rows, (codes.shape[1] + block.columns - 1) / block.columns]
    guard scales.shape == grid, scales.dataType.isFloatingPoint else {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: name), tensor: name,
        "is \(scales.dataType.rawValue) \(scales.shape) where blocks of \(block.rows) × \(block.columns) ask for \(grid)",
        remedy: "config.json and the tensors do not belong together")
    }
    return scales
  }

  public var names: [String] { contents.entries.map(\.name) }

  public func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    contents[name].map { content in
      let stored = content.descriptor.dataType
      return (content.descriptor.shape, .dense(stored == .float8E4M3 ? type : stored))
    }
  }

  public func storedByteCount(_ name: String) -> Int? { contents[name]?.byteCount }

  public func load(_ name: String) throws -> Weight { try read(name, rows: nil) }

  public func load(_ name: String, rows: Range<Int>) throws -> Weight { try read(name, rows: rows) }

  private func read(_ name: String, rows: Range<Int>?) throws -> Weight {
    guard let descriptor = contents[name]?.descriptor else { throw CheckpointError.missingTensor(name, in: checkpoint.file(of: name)) }
    let stored = try checkpoint.tensor(name)
    guard descriptor.dataType == .float8E4M3 else { return .dense(stored) }
    let factors = try checkpoint.tensor(name + Self.scaleEnding)
    guard factors.notFiniteCount == 0 else {
      throw CheckpointError.malformed(
        file: checkpoint.file(of: name), tensor: name + Self.scaleEnding, "\(factors.notFiniteCount) of its scales are no numbers",
        remedy: "it is damaged: fetch it again")
    }
    guard let scales = factors.float32Values(),
      let values = stored.dequantizedE4M3(scales: scales, block: block, to: type, rows: rows)
    else { throw CheckpointError.missingTensor(name + Self.scaleEnding, in: checkpoint.file(of: name)) }
    // The codes are not looked at again: resident, they would take half as much as the values once more.
    release(name)
    return .dense(values)
  }

  public func release(_ name: String) {
    checkpoint.release(name)
    if contents[name]?.descriptor.dataType == .float8E4M3 { checkpoint.release(name + Self.scaleEnding) }
  }
}
