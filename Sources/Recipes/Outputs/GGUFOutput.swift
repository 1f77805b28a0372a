import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// One GGUF file, `model.gguf`, with the model's settings and its tokenizer in it.
struct GGUFOutput: OutputEncoding {
  static let fileName = "model.gguf"

  let gguf: GGUFModel
  let name: String
  /// The model's tokenizer in GGUF's words; nil where it has none.
  let tokenizer: GGUFTokenizer.Encoded?
  /// How an encoder's states become an embedding, where the model says it.
  let pooling: GGUFPooling?
  /// Whether it says so in a way that GGUF has no words for.
  private let losesPooling: Bool

  /// - Parameter configuration: the model's config.json as the passes leave it.
  /// - Throws: of kind `usage` when the model has no architecture of GGUF's; when GGUF has no words for its tokenizer.
  init(_ model: ModelBundle, _ configuration: JSONObject) throws {
    gguf = try GGUFModel(configuration: .object(configuration))
    name = model.name
    tokenizer = try model.ggufTokenizer(vocabularySize: configuration["vocab_size"]?.integer)
    (pooling, losesPooling) = model.graph.purpose == .encoder ? try SentenceEncoder.ggufPooling(of: model) : (nil, false)
  }

  func stack(of module: String) -> String? {
    guard let placement = (try? gguf.placements(of: module + ".weight"))?.first, case .slice = placement.transform else { return nil }
    return placement.tensor
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
      var scheme = scheme
      // Another form of the same values may be a type's; float16 may not hold its scales.
      let needsCheck = scheme.scales == .direct && weight.storedScaleType.map { $0 != .float16 } ?? false
      if BlockCodec(scheme) == nil || needsCheck, let tensor = try weight.storedCodes() {
        let form = Self.form(of: tensor)
        scheme = form.scheme
        guard BlockCodec(scheme) == nil || Self.holdsScales(of: form) else { throw inexact(weight.name) }
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
      return .quantized(scheme)
    }
  }

  /// The form of a weight's values that a type of GGUF's has: no zero point or minimum where none is needed, minima in the place of zero points,
  /// groups of 32 in the place of larger ones or of a scale per channel. The weight itself where there is none.
  private static func form(of tensor: QuantizedTensor) -> QuantizedTensor {
    guard BlockCodec(tensor.scheme) == nil || tensor.scheme.offset == .minimum, tensor.scheme.scales == .direct else { return tensor }
    var form = tensor
    if let whole = tensor.withWholeZeroPoints() ?? tensor.withoutZeroPoints(), whole.scheme.symmetric {
      form = whole
    } else if tensor.scheme.offset == .zeroPoint {
      form = tensor.withMinima(as: .float16) ?? tensor
    }
    form = form.withGroups(of: 32) ?? form
    return BlockCodec(form.scheme) == nil ? tensor : form
  }

  private static func holdsScales(of tensor: QuantizedTensor) -> Bool {
    guard tensor.scheme.scales == .direct else { return true }
    return tensor.scales.exactly(.float16) != nil && tensor.minima.map { $0.exactly(.float16) != nil } ?? true
  }

  private func inexact(_ name: String) -> RecipeError {
    refused("cannot hold the values of \(name): a scale of it is no number of the type's", "quantize it with --format gguf from the start")
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

  func refused(_ problem: String, _ remedy: String) -> RecipeError {
    RecipeError("--format gguf", problem, remedy: remedy, kind: .usage)
  }

  func type(_ storage: WeightStorage) -> GGUFType? {
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

  static func key(_ tensor: String, slice: Int) -> String { "\(tensor)[\(slice)]" }

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
      let form = tensor.scheme == scheme ? tensor : Self.form(of: tensor)
      let rows = order.map(form.withRows) ?? form
      encoded = rows.flatMap { BlockCodec(scheme)?.encode($0) }?.reshaped(descriptor.shape)
    default: throw GraphError(tensor: entry.name, "was to be quantized and is not")
    }
    guard let encoded else { throw inexact(entry.name) }
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
    let form = entry.storage == .quantized(tensor.scheme) ? tensor : Self.form(of: tensor)
    return switch form.scheme.scales {
    case .direct: .quantized(form.withScales(as: .float16))
    case .powerOfTwo: .quantized(form.withScales(as: .float32))
    default: .quantized(form)
    }
  }

  func configuration(_ object: JSONObject, of output: OutputConfiguration.Subject) throws -> OutputConfiguration {
    var caveats = gguf.caveats + (tokenizer?.notes ?? [Self.noTokenizer])
    if losesPooling {
      caveats.append("llama.cpp has no pooling by the largest value: the file does not say how sentences are embedded")
    }
    let dropped = output.layout.entries.filter(\.tensors.isEmpty).map(\.name)
    if let first = dropped.first {
      caveats.append(
        "\(first)\(dropped.count > 1 ? " and \(dropped.count - 1) other weights" : "") are left out: GGUF files do without them")
    }
    return OutputConfiguration(json: .object(object), caveats: caveats)
  }
}
