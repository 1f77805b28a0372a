import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// One GGUF file, `model.gguf`, with the model's settings and its tokenizer in it.
struct GGUFOutput: OutputEncoding {
  static let fileName = "model.gguf"

  private let gguf: GGUFModel
  private let model: ModelBundle

  /// - Parameter configuration: the model's config.json as the passes leave it.
  /// - Throws: of kind `usage` when the model has no architecture of GGUF's.
  init(_ model: ModelBundle, _ configuration: JSONObject) throws {
    gguf = try GGUFModel(configuration: .object(configuration))
    self.model = model
  }

  func nameReadBack(of name: String) -> String { gguf.nameReadBack(of: name) }

  func place(_ weight: OutputLayout.Subject) throws -> OutputLayout.Entry {
    let placements = try gguf.placements(of: weight.name)
    // What files do without.
    guard !placements.isEmpty else { return OutputLayout.Entry(weight, storage: weight.storage, tensors: []) }
    let storage = try storage(of: weight, placements)
    let tensors = try placements.map { placement in
      try descriptor(placement, shape: weight.shape, storage: storage)
    }
    return OutputLayout.Entry(weight, storage: storage, tensors: tensors)
  }

  private func storage(of weight: OutputLayout.Subject, _ placements: [GGUFPlacement]) throws -> WeightStorage {
    let isFloat32 = placements.contains(where: \.requiresFloat32)
    switch weight.storage {
    case .dense(let type):
      guard [.float32, .float16, .bfloat16, .float64].contains(type) else {
        throw refused("\(weight.name) is \(type.rawValue), which GGUF has no type for", "use --format compressed-tensors")
      }
      return .dense(isFloat32 || type == .float64 ? .float32 : type)
    case .quantized(let scheme):
      guard !isFloat32 else { throw refused("readers take \(weight.module) as float32 alone", "leave it out of --override") }
      guard !placements.contains(where: { $0.transform.transposesHeads }) else {
        throw refused("keeps the keys of \(weight.module) transposed, head by head, which codes cannot be", "--ignore it")
      }
      guard let codec = BlockCodec(scheme) else {
        throw refused(
          "cannot hold \(scheme.name) (\(weight.module))",
          "quantize with --format gguf, which chooses its own types, or --gguf-type \(nearest(scheme)); --format safetensors takes the values"
        )
      }
      guard codec.rowBytes(inputs: weight.shape[1]) != nil else {
        throw refused("\(weight.module) has \(weight.shape[1]) inputs, which blocks of \(codec.blockSize) do not divide", "--ignore it")
      }
      return weight.storage
    }
  }

  private func nearest(_ scheme: QuantizationScheme) -> String {
    switch scheme.bits {
    case 8: "q8_0"
    case 6, 7: "q6_k"
    case 5: scheme.symmetric ? "q5_0" : "q5_k"
    case 4: scheme.symmetric ? "q4_0" : "q4_k"
    case 3: "q3_k"
    default: "q2_k"
    }
  }

  private func refused(_ problem: String, _ remedy: String) -> RecipeError {
    RecipeError("--format gguf", problem, remedy: remedy, kind: .usage)
  }

  private func type(_ storage: WeightStorage) -> GGUFType? {
    switch storage {
    case .dense(let type): GGUFType.allCases.first { $0.dataType == type }
    case .quantized(let scheme): BlockCodec(scheme).flatMap { GGUFType(rawValue: $0.number) }
    }
  }

  /// One tensor, or one slice of a stacked one, on its way to the writer.
  private func descriptor(_ placement: GGUFPlacement, shape: Shape, storage: WeightStorage) throws -> TensorDescriptor {
    var dimensions = try placement.transform.tensorShape(of: shape.dimensions)
    var key = placement.tensor
    if case .slice(let index, _) = placement.transform {
      dimensions.removeFirst()
      key = Self.key(placement.tensor, slice: index)
    }
    guard case .quantized(let scheme) = storage, let bytes = BlockCodec(scheme)?.rowBytes(inputs: shape[1]) else {
      guard case .dense(let type) = storage else { throw refused("cannot hold \(placement.tensor)", "--ignore it") }
      return TensorDescriptor(name: key, dataType: type, shape: Shape(dimensions))
    }
    return TensorDescriptor(name: key, dataType: .uint8, shape: Shape(dimensions.dropLast() + [bytes]))
  }

  private static func key(_ tensor: String, slice: Int) -> String { "\(tensor)[\(slice)]" }

  func check(_ layout: OutputLayout) throws {
    // What the model computes with must be in the file; what files do without is beside that.
    for id in layout.blocks.joined() {
      guard let entry = layout.parameters[id], entry.tensors.isEmpty else { continue }
      throw refused("has no tensor for \(entry.name), which the model computes with", "use --format safetensors or compressed-tensors")
    }
  }

  func encode(_ weight: Weight, as entry: OutputLayout.Entry) throws -> [(TensorDescriptor, Tensor)] {
    let placements = try gguf.placements(of: entry.name)
    guard !placements.isEmpty else { return [] }
    return try zip(placements, entry.tensors).map { placement, descriptor in
      (descriptor, try encode(weight, entry, placement, descriptor))
    }
  }

  private func encode(
    _ weight: Weight, _ entry: OutputLayout.Entry, _ placement: GGUFPlacement, _ descriptor: TensorDescriptor
  ) throws -> Tensor {
    let transform = placement.transform
    var order: [Int]?
    switch transform {
    case .asItIs, .slice: break
    default: order = try transform.forward(rows: entry.shape[0])
    }
    var encoded: Tensor?
    switch (weight, entry.storage) {
    case (.dense(let tensor), .dense(let type)):
      guard let stored = tensor.converted(to: type) else { throw GraphError(tensor: entry.name, "cannot be stored as \(type)") }
      var values = order.map(stored.gatheringRows) ?? stored
      if transform.transposesHeads { values = Self.transposingHeads(values, as: descriptor.shape) }
      encoded = values.reshaped(descriptor.shape)
    case (.quantized(let tensor), .quantized(let scheme)):
      let rows = order.map(tensor.withRows) ?? tensor
      encoded = rows.flatMap { BlockCodec(scheme)?.encode($0) }?.reshaped(descriptor.shape)
    default: throw GraphError(tensor: entry.name, "was to be quantized and is not")
    }
    guard let encoded else {
      throw refused(
        "cannot hold the values of \(entry.name): a scale of it is no number of the type's", "quantize it with --format gguf from the start"
      )
    }
    return encoded
  }

  /// - Parameter shape: `[heads, latent, key rows]`, of rows `[heads · key rows, latent]`.
  private static func transposingHeads(_ rows: Tensor, as shape: Shape) -> Tensor {
    let (latent, keyRows, width) = (shape[1], shape[2], rows.dataType.bitWidth / 8)
    return Tensor(dataType: rows.dataType, shape: shape) { target in
      rows.withUnsafeBytes { source in
        for head in 0..<shape[0] {
          let place = head * latent * keyRows
          transpose(source, at: place, rows: keyRows, columns: latent, into: target, at: place, width: width)
        }
      }
    }
  }

  func expected(_ tensor: QuantizedTensor, as entry: OutputLayout.Entry) -> Weight {
    switch tensor.scheme.scales {
    case .direct: .quantized(tensor.withScales(as: .float16))
    case .powerOfTwo: .quantized(tensor.withScales(as: .float32))
    default: .quantized(tensor)
    }
  }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    var caveats = gguf.caveats
    let dropped = output.layout.entries.filter(\.tensors.isEmpty).map(\.name)
    if let first = dropped.first {
      caveats.append(
        "\(first)\(dropped.count > 1 ? " and \(dropped.count - 1) other weights" : "") are left out: GGUF files do without them")
    }
    return OutputConfiguration(json: .object(object), caveats: caveats)
  }

  func writer(_ layout: OutputLayout, for output: OutputFiles) throws -> any CheckpointWriter {
    var metadata = gguf.metadata(name: model.name, fileType: fileType(layout))
    let vocabulary = model.configuration["vocab_size"]?.integer
    if let tokenizer = try model.ggufTokenizer(vocabularySize: vocabulary) {
      for entry in tokenizer.entries { metadata[entry.key] = entry.value }
    }
    let extra = gguf.synthesizedTensors
    let announcements =
      try extra.map { GGUFAnnouncement(name: $0.name, type: .f32, dimensions: [$0.values.count]) } + self.announcements(layout)
    let writer = try GGUFWriter(
      creating: output.directory.appendingPathComponent(Self.fileName), metadata: metadata, tensors: announcements,
      resumingAfter: output.written, observer: output.observer)
    if output.written != nil { try writer.suspend() }
    for tensor in extra { try writer.write(tensor.name, Tensor(tensor.values, shape: [tensor.values.count])) }
    return writer
  }

  /// The tensors of the file, stacks in one.
  private func announcements(_ layout: OutputLayout) throws -> [GGUFAnnouncement] {
    var announcements: [GGUFAnnouncement] = []
    var places: [String: Int] = [:]
    for entry in layout.entries {
      for (placement, descriptor) in zip(try gguf.placements(of: entry.name), entry.tensors) {
        guard let type = type(entry.storage) else { throw refused("cannot hold \(entry.name)", "--ignore it") }
        let dimensions = try placement.transform.tensorShape(of: entry.shape.dimensions)
        guard case .slice(let index, let count) = placement.transform else {
          announcements.append(GGUFAnnouncement(name: placement.tensor, type: type, dimensions: dimensions))
          continue
        }
        guard let place = places[placement.tensor] else {
          places[placement.tensor] = announcements.count
          announcements.append(
            GGUFAnnouncement(
              name: placement.tensor, type: type, dimensions: dimensions,
              parts: (0..<count).map { Self.key(placement.tensor, slice: $0) }))
          continue
        }
        guard announcements[place].type == type else {
          throw refused(
            "keeps the \(count) experts of a layer in one tensor, which has one type: \(descriptor.name) would be \(type.name) among "
              + "\(announcements[place].type.name) (expert \(index))",
            "give all experts of a layer the same bits")
        }
      }
    }
    return announcements
  }

  /// `general.file_type`: how most weights are stored, by llama.cpp's numbers.
  private func fileType(_ layout: OutputLayout) -> UInt32 {
    var counts: [GGUFType: Int] = [:]
    for entry in layout.entries where entry.shape.rank == 2 {
      if let type = type(entry.storage) { counts[type, default: 0] += entry.shape.elementCount }
    }
    let most = counts.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key
    return most?.fileType ?? 0
  }
}

extension GGUFType {
  /// llama.cpp's number of files that are mostly of this type; 0 (all float32) for types without one.
  fileprivate var fileType: UInt32 {
    switch self {
    case .f16: 1
    case .q4_0: 2
    case .q4_1: 3
    case .q8_0: 7
    case .q5_0: 8
    case .q5_1: 9
    case .q2_K: 10
    case .q3_K: 12
    case .q4_K: 15
    case .q5_K: 17
    case .q6_K: 18
    case .iq4_NL: 25
    case .bf16: 32
    case .mxfp4: 38
    default: 0
    }
  }
}
