import Diagnostics
import Tensors

/// A quantized layer as a checkpoint of MLX holds it, or the same layer of all experts; checked without reading its codes.
struct MLXLayer: Sendable {
  let path: String
  let settings: MLXSettings
  /// Of one weight, `[outputs, inputs]`.
  let shape: Shape
  /// How many weights lie in each tensor; nil for one without a dimension for that.
  let count: Int?
  let scaleType: DataType
  let byteCount: Int

  /// Every part must be there with the type and shape that the settings ask for.
  init(_ path: String, codes: TensorDescriptor, settings: MLXSettings, in checkpoint: any Checkpoint) throws(CheckpointError) {
    func malformed(_ tensor: String, _ problem: String) -> CheckpointError {
      CheckpointError.malformed(
        file: checkpoint.file(of: tensor), tensor: tensor, problem, remedy: "config.json and the tensors do not belong together")
    }
    let isStack = codes.shape.rank == 3
    guard codes.dataType == .uint32, codes.shape.rank == 2 || isStack else {
      throw malformed(codes.name, "it is \(codes.dataType.rawValue) \(codes.shape), but codes are U32 of two dimensions, of experts three")
    }
    let sizes = codes.shape.dimensions
    guard sizes.allSatisfy({ (1...MLXEncoding.maximumExtent).contains($0) }), !isStack || sizes[0] <= ExpertStack.maximumCount else {
      throw malformed(codes.name, "\(codes.shape) is no shape of codes")
    }
    let scalesName = MLXEncoding.Part.scales.name(in: path)
    guard let scales = checkpoint.descriptor(scalesName) else { throw malformed(scalesName, "it is missing") }
    let isAffine = settings.mode == .affine
    guard isAffine ? [.float32, .float16, .bfloat16].contains(scales.dataType) : scales.dataType == .uint8 else {
      throw malformed(
        scales.name, "scales of type \(scales.dataType.rawValue) do not go with the mode \(settings.mode.rawValue) of config.json")
    }
    let groups = scales.shape.dimensions.last ?? 0
    // A row's words are what its groups take, which fixes the extent of the inputs.
    guard groups > 0, groups <= MLXEncoding.maximumExtent / 128, scales.shape.dimensions.dropLast() == codes.shape.dimensions.dropLast(),
      groups * settings.groupSize * settings.bits == sizes[sizes.count - 1] * 32
    else {
      throw malformed(
        scales.name,
        "scales of shape \(scales.shape) do not go with codes of shape \(codes.shape), of \(settings.bits) bits in groups of \(settings.groupSize)"
      )
    }
    var bytes = (codes.byteCount ?? 0) + (scales.byteCount ?? 0)
    let biasesName = MLXEncoding.Part.biases.name(in: path)
    let biases = checkpoint.descriptor(biasesName)
    guard (biases != nil) == isAffine else {
      throw malformed(biasesName, isAffine ? "it is missing" : "the mode \(settings.mode.rawValue) has no such tensor")
    }
    if let biases {
      guard biases.dataType == scales.dataType, biases.shape == scales.shape else {
        throw malformed(
          biases.name, "it is \(biases.dataType.rawValue) \(biases.shape), the scales are \(scales.dataType.rawValue) \(scales.shape)")
      }
      bytes += biases.byteCount ?? 0
    }
    let global = "\(path).global_scale"
    if checkpoint.descriptor(global) != nil { throw malformed(global, "NVFP4 with a scale of the whole weight is not supported") }
    self.path = path
    self.settings = settings
    shape = [sizes[sizes.count - 2], groups * settings.groupSize]
    count = isStack ? sizes[0] : nil
    scaleType = isAffine ? scales.dataType : .float32
    byteCount = bytes / (count ?? 1)
  }

  /// Reads the parts of one weight. Codes stay a view of the file.
  /// - Parameter index: which of a stack.
  func load(_ index: Int?, from checkpoint: any Checkpoint) throws(CheckpointError) -> QuantizedTensor {
    func part(_ part: MLXEncoding.Part) throws(CheckpointError) -> Tensor? {
      let whole = try checkpoint.tensor(part.name(in: path))
      guard let index else { return whole }
      return whole.rows(index..<index + 1)?.reshaped(Shape(Array(whole.shape.dimensions.dropFirst())))
    }
    let codes = try part(.weight)?.reinterpreted(as: .int32)
    let scales = try part(.scales)
    let tensor: QuantizedTensor?
    switch (settings.mode, codes, scales) {
    case (.affine, let codes?, let scales?):
      tensor = QuantizedTensor(scheme: settings.scheme, shape: shape, codes: codes, scales: scales, minima: try part(.biases))
    case (.mxfp4, let codes?, let scales?):
      tensor = scales.powersOfTwo.flatMap { QuantizedTensor(scheme: settings.scheme, shape: shape, codes: codes, scales: $0) }
    case (.nvfp4, let codes?, let scales?):
      tensor = scales.reinterpreted(as: .float8E4M3).flatMap {
        QuantizedTensor(scheme: settings.scheme, shape: shape, codes: codes, parts: ScaleParts(shared: Tensor([1], shape: [1]), codes: $0))
      }
    default: tensor = nil
    }
    guard let tensor else {
      throw malformed(.weight, "its parts do not fit together as \(settings.scheme.name) of shape \(shape)", checkpoint)
    }
    return try tensor.requiringNumbers(
      scales: MLXEncoding.Part.scales.name(in: path), minima: MLXEncoding.Part.biases.name(in: path), in: checkpoint)
  }

  private func malformed(_ part: MLXEncoding.Part, _ problem: String, _ checkpoint: any Checkpoint) -> CheckpointError {
    let name = part.name(in: path)
    return CheckpointError.malformed(file: checkpoint.file(of: name), tensor: name, problem)
  }
}
