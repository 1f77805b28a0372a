import Diagnostics
import ModelGraph
import Tensors

/// A pass that quantizes every layer its targets name, each by itself, needing nothing but the layer's weight.
///
/// Conforming takes the method below; checking options, walking the blocks and keeping the record are the same for all.
public protocol LayerwiseQuantization: CompressionPass, QuantizingPass {
  /// The scheme of every weight that is to be quantized: what the targets say, unless a pass knows more.
  func schemes(for graph: ModelGraph) throws(CompressionError) -> [ParameterID: QuantizationScheme]

  /// - Parameters:
  ///   - weight: `[outputs, inputs]`, floating point.
  ///   - name: the weight's name, for errors.
  ///   - scaleType: what scales are stored as and must be rounded to: the checkpoint's type, also where an earlier pass left float32.
  func quantize(
    _ weight: Tensor, named name: String, as scheme: QuantizationScheme, scaleType: DataType, in context: PassContext
  ) throws(CompressionError) -> QuantizedLayer
}

/// A layer's weight as a pass quantized it.
public struct QuantizedLayer: Sendable {
  public var tensor: QuantizedTensor
  /// Weights whose code was clamped by more than rounding.
  public var clipped: Int
  /// What was done instead of what was asked, in words; nil in the normal case.
  public var fallback: String?

  public init(_ tensor: QuantizedTensor, clipped: Int, fallback: String? = nil) {
    self.tensor = tensor
    self.clipped = clipped
    self.fallback = fallback
  }
}

extension LayerwiseQuantization {
  public static var contract: PassContract {
    PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])
  }

  public func schemes(for graph: ModelGraph) throws(CompressionError) -> [ParameterID: QuantizationScheme] {
    try targets.schemes(for: graph)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    _ = try schemes(for: graph)
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    LayerwiseWorker(pass: self, schemes: try schemes(for: graph))
  }
}

extension Parameter {
  /// What its values are stored as where they stay values: the checkpoint's type for it, float32 for float64; nil for codes.
  package var valueType: DataType? { nativeType.map { $0 == .float64 ? .float32 : $0 } }

  /// What scales of its values are stored as: what the output's format requires, or the type of the values; nil for codes.
  package var scaleType: DataType? { requiredScaleType ?? valueType }
}

/// Takes the targeted layers of each block one after the other, so that one weight is all that is in memory.
private struct LayerwiseWorker<Pass: LayerwiseQuantization>: BlockPass {
  let pass: Pass
  let schemes: [ParameterID: QuantizationScheme]
  var record = PassRecord(pass: Pass.identifier)

  var plan: [ParameterID: WeightStorage] { schemes.mapValues(WeightStorage.quantized) }
  var treatsLayersAlone: Bool { true }

  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
    for (node, id) in graph.linears(of: block) {
      guard let scheme = schemes[id] else { continue }
      let weight = try graph.denseWeight(id, of: node.scope)
      let result = try pass.quantize(weight, named: graph[id].name, as: scheme, scaleType: graph[id].scaleType ?? .float32, in: context)
      WorkMeter.add(WorkEstimate.searchedWeight * Double(weight.shape.elementCount))
      record.layers.append(
        PassRecord.Layer(
          module: node.scope, scheme: scheme, weights: weight.shape.elementCount, clipped: result.clipped, fallback: result.fallback))
      try graph.replace(id, with: .quantized(result.tensor))
    }
  }
}
