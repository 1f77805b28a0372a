import Tensors

/// A tensor that a `GGUFWriter` will be given.
public struct GGUFAnnouncement: Sendable, Hashable {
  public var name: String
  public var type: GGUFType
  /// Outermost first.
  public var dimensions: [Int]
  /// Keys under which consecutive, equal slices of the outermost dimension are written one by one, as the experts of a layer are that
  /// stand in one tensor; empty when the tensor is written in one piece, under its name.
  public var parts: [String]

  public init(name: String, type: GGUFType, dimensions: [Int], parts: [String] = []) {
    self.name = name
    self.type = type
    self.dimensions = dimensions
    self.parts = parts
  }

  /// Bytes of the tensor; nil when no tensor can have this type and these dimensions.
  public var byteCount: Int? { GGUFTensor.byteCount(type, dimensions).bytes }
}
