import Foundation
import Tensors

/// Writes `model.weights.h5` of a preset from tensors in the graph's names and orientation; codes and scales as ``KerasPreset`` announces them.
public final class KerasWriter: CheckpointWriter, Sendable {
  private let writer: HDF5Writer
  private let url: URL
  private let places: NameTable<Place>

  private struct Place: Sendable {
    let source: TensorDescriptor
    let stored: TensorDescriptor
    /// Whether it is a matrix that Keras has transposed.
    let isKernel: Bool
    /// Whether they are scales, of which Keras keeps the reciprocals.
    let isScale: Bool
  }

  /// - Parameter tensors: all that will be written, in any order.
  public init(creating url: URL, preset: KerasPreset, tensors: [TensorDescriptor]) throws(CheckpointError) {
    let parameters = NameTable(preset.backbone.parameters(isTied: preset.isTied).map { ($0.name, $0) })
    var places: [(String, Place)] = []
    for tensor in tensors {
      let scale = ".\(CompressedTensorsEncoding.Part.scale.rawValue)"
      let isScale = tensor.name.hasSuffix(scale)
      let name = isScale ? String(tensor.name.dropLast(scale.count)) + ".weight" : tensor.name
      guard let parameter = parameters[name] else {
        throw KerasPreset.refused("has no place for \(CheckpointError.shortened(name))", remedy: "--format hdf5 holds any tensor")
      }
      guard isScale || tensor.shape == parameter.shape else {
        throw .usage(file: url, tensor: name, "it has shape \(tensor.shape) where its layer has \(parameter.shape)")
      }
      var isKernel = false
      if case .kernel = parameter.arrangement { isKernel = !isScale }
      let stored = TensorDescriptor(
        name: "layers.\(parameter.object).vars.\(isScale ? parameter.quantizedIndex + 1 : parameter.index)", dataType: tensor.dataType,
        shape: isScale ? parameter.scaleShape : parameter.storedShape)
      places.append((tensor.name, Place(source: tensor, stored: stored, isKernel: isKernel, isScale: isScale)))
    }
    let written = Set(places.map(\.0))
    if let missing = parameters.entries.first(where: { !written.contains($0.name) }) {
      throw .usage(file: url, tensor: missing.name, "Keras's layout has it and the model does not")
    }
    self.places = NameTable(places)
    self.url = url
    writer = try HDF5Writer(creating: url, tensors: places.map(\.1.stored), bfloat16: .opaque)
  }

  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard let place = places[name] else { throw .usage(file: url, tensor: name, "it was not announced") }
    guard bytes.count == place.source.byteCount else {
      throw .usage(file: url, tensor: name, "it was announced with \(place.source.byteCount ?? 0) bytes and is written with \(bytes.count)")
    }
    guard place.isKernel || place.isScale else { return try writer.write(place.stored.name, bytes) }
    let source = Tensor(dataType: place.source.dataType, shape: place.source.shape) { $0.copyMemory(from: bytes) }
    guard let stored = place.isScale ? Self.reciprocals(source) : source.transposed() else {
      throw .usage(file: url, tensor: name, "elements of \(source.dataType.rawValue) have no place in Keras's layout")
    }
    try stored.withUnsafeBytes { bytes throws(CheckpointError) in try writer.write(place.stored.name, bytes) }
  }

  private static func reciprocals(_ scales: Tensor) -> Tensor? {
    guard scales.dataType == .float32, let values = scales.float32Values() else { return nil }
    return Tensor(values.map { 1 / $0 }, shape: scales.shape)
  }

  public func finish() throws(CheckpointError) { try writer.finish() }
}
