import DeepSeekOptimize
import Foundation
import Testing

/// The demo model with other values in some places, and of a type of choice.
enum HostileModel {
  /// The values of a layer that a test likes to spoil.
  static let scope = "model.layers.1"
  static let up = scope + ".mlp.up_proj.weight"
  static let down = scope + ".mlp.down_proj.weight"
  static let norm = scope + ".post_attention_layernorm.weight"
  static let embedding = "model.embed_tokens.weight"

  /// - Parameter change: what takes the place of a value; of a vector all are in row 0.
  static func write(
    to path: String, as type: DataType = .float32, _ change: (_ name: String, _ row: Int, _ column: Int, _ value: Float) -> Float
  ) throws -> ModelBundle {
    let place = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    for file in try FileManager.default.contentsOfDirectory(atPath: DemoModel.directory.path) where !file.hasSuffix(".safetensors") {
      try FileManager.default.copyItem(at: DemoModel.directory.appendingPathComponent(file), to: place.appendingPathComponent(file))
    }
    let source = try SafeTensorsCheckpoint(DemoModel.directory)
    var tensors: [(name: String, tensor: Tensor)] = []
    for descriptor in source.descriptors {
      var values = try #require(try source.tensor(descriptor.name).float32Values())
      let columns = descriptor.shape[descriptor.shape.rank - 1]
      for index in values.indices { values[index] = change(descriptor.name, index / columns, index % columns, values[index]) }
      tensors.append((descriptor.name, try #require(Tensor(values, shape: descriptor.shape).converted(to: type))))
    }
    try SafeTensorsFile.write(tensors, to: place.appendingPathComponent("model.safetensors"))
    return try ModelBundle(opening: place.path)
  }

  /// The same with one value that is none.
  static func write(to path: String, _ bad: Float, in tensor: String, row: Int = 3, column: Int = 5) throws -> ModelBundle {
    try write(to: path) { name, r, c, value in name == tensor && r == row && c == column ? bad : value }
  }

  /// Numbers that are all finite, and that methods have trouble with.
  enum Matter: CaseIterable {
    case zeroMatrix, zeroModel, denormals, equal, halfEdge

    func value(_ name: String, _ row: Int, _ column: Int, _ value: Float) -> Float {
      let isMatrix = name == HostileModel.up || name == HostileModel.down
      switch self {
      case .zeroMatrix: return isMatrix ? 0 : value
      case .zeroModel: return 0
      case .denormals: return name.hasSuffix("norm.weight") ? value : value * 0x1p-135
      case .equal: return isMatrix ? 0.01 : value
      case .halfEdge: return isMatrix ? (value < 0 ? -65504 : 65504) : value
      }
    }
  }

  /// Every dense value of a checkpoint, and what codes stand for, are numbers.
  static func isFinite(_ model: ModelBundle) throws -> Bool {
    for name in model.weights.names {
      guard let values = try model.weights.load(name).float32()?.float32Values() else { continue }
      guard values.allSatisfy(\.isFinite) else { return false }
    }
    return true
  }
}

extension TemporaryDirectory {
  /// Who is named when a run to `out` is refused, with which problem; and that there is no output.
  func refusal(_ body: () throws -> CompressionReport) throws -> any Failure {
    let error = #expect(throws: (any Error).self) { _ = try body() }
    let failure = try #require(error as? any Failure)
    #expect(failure.kind == .badData && !failure.remedy.isEmpty, "\(failure)")
    #expect(!contents.contains("out"))
    return failure
  }
}
