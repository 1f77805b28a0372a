import Diagnostics
import Foundation
import StructuredData
import Tensors

/// A model of KerasHub as the model graph sees it: parameters by Hugging Face's names, in the orientation that linear layers have there.
///
/// Kernels are transposed and their heads joined when they are read. Kernels of 8 bits become codes and scales as compressed-tensors has them:
/// Keras divides by its scales, so ours are their reciprocals; its layers quantize their inputs, each token by its greatest magnitude. An
/// embedding of 8 bits is read as the float32 values that it stands for. Nothing in the files is run.
public struct KerasCheckpoint: Checkpoint {
  public let descriptors: [TensorDescriptor]
  public let files: [URL]
  public let metadata: [String: String]
  /// The configuration in Hugging Face's words, `quantization_config` included.
  public let configuration: JSONValue
  /// The class of the model in KerasHub: `LlamaBackbone`.
  public let className: String
  private let source: KerasFiles
  private let contents: NameTable<Entry>

  private struct Entry: Sendable {
    let descriptor: TensorDescriptor
    let content: Content
  }

  private enum Content: Sendable {
    case values(dataset: String, KerasParameter.Arrangement)
    /// The reciprocal of what Keras stores, a column.
    case scales(dataset: String)
    /// Codes and scales of an embedding.
    case decoded(codes: String, scales: String)
  }

  /// - Parameters:
  ///   - containers: the files that hold the weights.
  ///   - settings: Keras's serialized model: a backbone, or a task that holds one.
  ///   - files: what a reader would call the model's files: the archive, where they lie in one.
  public init(_ containers: [HDF5Checkpoint], settings: JSONValue, place: String, files: [URL]) throws(CheckpointError) {
    let object = try Self.backbone(settings, place: place)
    let backbone = try KerasBackbone(object)
    let all = backbone.parameters(isTied: false)
    let source = try KerasFiles(containers, containing: all[0], className: object.className)
    var reader = Reader(source: source)
    let head = all[all.count - 1]
    let embedding = try reader.embedding(all[0])
    // Settings of some versions do not say whether the head is the embedding; the variables do.
    let hasHead = reader.descriptor(of: head, isQuantized: embedding.isQuantized) != nil
    for parameter in all.dropFirst().dropLast() { try reader.add(parameter) }
    if hasHead {
      try reader.add(head, isQuantized: embedding.isQuantized)
    } else if !backbone.mayBeTied || object.value("tie_word_embeddings")?.bool == false {
      throw CheckpointError.missingTensor(source.expectedName(of: head), in: containers[0].files[0])
    } else if embedding.isQuantized {
      // Its rows are the head's, whose inputs are quantized as those of any other layer of 8 bits.
      reader.addTiedHead(named: head.name, embedding)
    }
    var json = try backbone.huggingFaceConfiguration(
      object, isTied: !hasHead && !embedding.isQuantized, dataType: Self.name(of: reader.valueType))
    if !reader.modules.isEmpty { json["quantization_config"] = try Self.quantization(reader) }
    configuration = .object(json)
    className = object.className
    contents = NameTable(reader.entries.map { ($0.descriptor.name, $0) })
    descriptors = contents.entries.map(\.value.descriptor)
    metadata = [:]
    self.source = source
    self.files = files
  }

  /// Whether a configuration is Keras's at all.
  public static func recognizes(_ settings: JSONValue) -> Bool { KerasObject(settings, place: "") != nil }

  private static func backbone(_ settings: JSONValue, place: String) throws(CheckpointError) -> KerasObject {
    guard let object = KerasObject(settings, place: place) else {
      throw CheckpointError(kind: .badConfiguration, subject: place, problem: "is not a configuration of Keras")
    }
    guard let inner = object.value("backbone") else { return object }
    guard let backbone = KerasObject(inner, place: "\(place): backbone") else {
      throw object.invalid("backbone", "is not a model of Keras")
    }
    return backbone
  }

  private static func name(of type: DataType) -> String {
    switch type {
    case .bfloat16: "bfloat16"
    case .float16: "float16"
    default: "float32"
    }
  }

  private static func quantization(_ reader: Reader) throws(CheckpointError) -> JSONValue {
    do { return try CompressedTensorsConfiguration(modules: reader.modules, dense: reader.dense).json() } catch {
      throw CheckpointError(kind: .badData, subject: "config.json", problem: "\(error)")
    }
  }

  public func descriptor(_ name: String) -> TensorDescriptor? { contents[name]?.descriptor }

  public func tensor(_ name: String) throws(CheckpointError) -> Tensor {
    guard let entry = contents[name] else { throw CheckpointError.missingTensor(name, in: files[0]) }
    let shape = entry.descriptor.shape
    switch entry.content {
    case .values(let dataset, let arrangement):
      let stored = try stored(dataset)
      guard case .kernel(let inputs, let outputs) = arrangement else { return stored }
      guard let value = stored.reshaped([inputs.reduce(1, *), outputs.reduce(1, *)])?.transposed() else {
        throw try malformed(dataset, "elements of \(stored.dataType.rawValue) are not read here")
      }
      return value
    case .scales(let dataset): return Tensor(try reciprocals(dataset), shape: shape)
    case .decoded(let codes, let scales): return try decoded(codes, by: try reciprocals(scales), shape: shape)
    }
  }

  public func release(_ name: String) {
    switch contents[name]?.content {
    case .values(let dataset, _), .scales(let dataset), .decoded(let dataset, _): (try? source.container(of: dataset))?.release(dataset)
    case nil: break
    }
  }

  private func stored(_ dataset: String) throws(CheckpointError) -> Tensor { try source.container(of: dataset).tensor(dataset) }

  private func malformed(_ dataset: String, _ problem: String) throws(CheckpointError) -> CheckpointError {
    .malformed(file: try source.container(of: dataset).files[0], tensor: dataset, problem, remedy: "fetch the model again")
  }

  private func reciprocals(_ dataset: String) throws(CheckpointError) -> [Float] {
    let scales = try stored(dataset).float32Values() ?? []
    let reciprocals = scales.map { 1 / $0 }
    // Ours may be negative: an extreme weight then gets the code of greater magnitude.
    guard !reciprocals.isEmpty, reciprocals.allSatisfy({ $0.isFinite && $0 != 0 }) else {
      throw try malformed(dataset, "a scale is 0, or not a number")
    }
    return reciprocals
  }

  private func decoded(_ dataset: String, by scales: [Float], shape: Shape) throws(CheckpointError) -> Tensor {
    let codes = try stored(dataset)
    guard codes.dataType == .int8, codes.shape == shape, scales.count == shape[0] else {
      throw try malformed(dataset, "its codes and scales do not fit together")
    }
    return Tensor(dataType: .float32, shape: shape) { bytes in
      let output = bytes.bindMemory(to: Float.self)
      codes.withUnsafeBytes { source in
        let source = source.bindMemory(to: Int8.self)
        for (row, scale) in scales.enumerated() {
          for index in row * shape[1]..<(row + 1) * shape[1] { output[index] = Float(source[index]) * scale }
        }
      }
    }
  }
}

extension KerasCheckpoint {
  /// Finds the parameters in the files and checks what they are.
  private struct Reader {
    let source: KerasFiles
    var entries: [Entry] = []
    var modules: [CompressedTensorsConfiguration.Module] = []
    /// Linear layers that are not quantized.
    var dense: [String] = []
    /// The type of vectors, which are never quantized.
    var valueType = DataType.float32

    init(source: KerasFiles) { self.source = source }

    struct Embedding {
      let parameter: KerasParameter
      let codes: String
      let scales: String?
      var isQuantized: Bool { scales != nil }
    }

    func descriptor(of parameter: KerasParameter, isQuantized: Bool) -> TensorDescriptor? {
      source.descriptor(of: parameter, index: isQuantized ? parameter.quantizedIndex : parameter.index)
    }

    /// The dataset of a parameter, in the shape that the configuration asks for.
    private func checked(_ parameter: KerasParameter, isQuantized: Bool) throws(CheckpointError) -> TensorDescriptor {
      guard let found = descriptor(of: parameter, isQuantized: isQuantized) else {
        throw CheckpointError.missingTensor(source.expectedName(of: parameter), in: source.containers[0].files[0])
      }
      guard found.shape == parameter.storedShape else {
        throw CheckpointError.malformed(
          file: try source.container(of: found.name).files[0], tensor: found.name,
          "it has shape \(found.shape) where config.json says \(parameter.storedShape)",
          remedy: found.dataType == .int8 || found.dataType == .uint8
            ? "of Keras's quantized layers those of int8 are read" : "config.json and the weights do not belong together")
      }
      return found
    }

    /// The scales of a variable of codes; nil when the variable holds none.
    private func scales(of parameter: KerasParameter, _ found: TensorDescriptor) throws(CheckpointError) -> String? {
      let file = try source.container(of: found.name).files[0]
      switch found.dataType {
      case .float32, .float16, .bfloat16: return nil
      case .int8:
        let index = parameter.quantizedIndex + 1
        guard let scales = source.descriptor(of: parameter, index: index, suffix: "_scale"), scales.shape == parameter.scaleShape else {
          throw CheckpointError.malformed(
            file: file, tensor: found.name, "its scales are missing, or not of shape \(parameter.scaleShape)",
            remedy: "of Keras's quantized layers those of int8 are read")
        }
        return scales.name
      case let other:
        throw CheckpointError.malformed(
          file: file, tensor: found.name, "elements of \(other.rawValue) are no weights", remedy: "fetch the model again")
      }
    }

    private mutating func append(_ name: String, _ type: DataType, _ shape: Shape, _ content: Content) {
      entries.append(Entry(descriptor: TensorDescriptor(name: name, dataType: type, shape: shape), content: content))
    }

    mutating func embedding(_ parameter: KerasParameter) throws(CheckpointError) -> Embedding {
      let found = try checked(parameter, isQuantized: true)
      let scales = try scales(of: parameter, found)
      append(
        parameter.name, scales == nil ? found.dataType : .float32, parameter.shape,
        scales.map { .decoded(codes: found.name, scales: $0) } ?? .values(dataset: found.name, parameter.arrangement))
      return Embedding(parameter: parameter, codes: found.name, scales: scales)
    }

    mutating func add(_ parameter: KerasParameter, isQuantized: Bool = false) throws(CheckpointError) {
      let found = try checked(parameter, isQuantized: isQuantized)
      let scales = try scales(of: parameter, found)
      let module = CompressedTensorsEncoding.moduleName(ofParameter: parameter.name)
      append(parameter.name, found.dataType, parameter.shape, .values(dataset: found.name, parameter.arrangement))
      switch (parameter.arrangement, scales) {
      case (.kernel, let scales?): addScales(scales, outputs: parameter.shape[0], module: module)
      case (.kernel, nil): dense.append(module)
      case (.plain, nil): valueType = found.dataType
      case (.plain, _?):
        throw CheckpointError.malformed(
          file: try source.container(of: found.name).files[0], tensor: found.name, "codes stand for a norm's gain",
          remedy: "fetch the model again")
      }
    }

    mutating func addTiedHead(named name: String, _ embedding: Embedding) {
      guard let scales = embedding.scales else { return }
      append(name, .int8, embedding.parameter.shape, .values(dataset: embedding.codes, embedding.parameter.arrangement))
      addScales(scales, outputs: embedding.parameter.shape[0], module: CompressedTensorsEncoding.moduleName(ofParameter: name))
    }

    private mutating func addScales(_ scales: String, outputs: Int, module: String) {
      append(CompressedTensorsEncoding.Part.scale.name(in: module), .float32, [outputs, 1], .scales(dataset: scales))
      modules.append(CompressedTensorsConfiguration.Module(name: module, scheme: KerasBackbone.scheme, format: .intQuantized))
    }
  }
}

extension KerasBackbone {
  /// What Keras's int8 layers compute: symmetric codes, a scale for each output, inputs quantized token by token.
  static let scheme = QuantizationScheme(bits: 8, activations: .int8)
}
