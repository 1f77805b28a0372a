import Formats
import Foundation
import StructuredData
import Tensors
import Testing

/// A directory for one adapter, removed afterwards.
final class AdapterScratch {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("adapter-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// Another empty directory in it.
  func folder(_ name: String) throws -> URL {
    let folder = directory.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }

  /// A new folder with these settings, and float32 tensors of these shapes.
  func adapter(
    _ configuration: JSONValue, _ tensors: [String: [Int]], type: String = "F32", file: String = "adapter_model.safetensors"
  ) throws -> URL {
    let folder = try folder(UUID().uuidString)
    try configuration.text().write(to: folder.appendingPathComponent("adapter_config.json"), atomically: false, encoding: .utf8)
    var header = JSONObject()
    var count = 0
    for (name, shape) in tensors.sorted(by: { $0.key < $1.key }) {
      let bytes = shape.reduce(type == "F32" ? 4 : 8, *)
      header[name] = [
        "dtype": .string(type), "shape": .array(shape.map { .integer(Int64($0)) }),
        "data_offsets": [.integer(Int64(count)), .integer(Int64(count + bytes))],
      ]
      count += bytes
    }
    let text = Array(JSONValue.object(header).text(pretty: false).utf8)
    let bytes = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text + [UInt8](repeating: 0, count: count)
    try Data(bytes).write(to: folder.appendingPathComponent(file))
    return folder
  }
}

/// What the libraries say of an adapter of the fixtures.
struct AdapterGolden {
  let name: String
  let directory: URL
  let modules: [JSONValue]

  static let names = ["lora", "rslora", "dora", "patterns", "layers", "embedding", "mlx-lora", "mlx-all", "mlx-dora"]

  init(_ name: String) throws {
    let fixtures = try #require(Bundle.module.url(forResource: "AdapterFixtures", withExtension: nil))
    let text = try String(contentsOf: fixtures.appendingPathComponent("golden.json"), encoding: .utf8)
    self.name = name
    directory = fixtures.appendingPathComponent(name)
    modules = try #require(try JSONValue(parsing: text)["adapters"]?[name]?["modules"]?.array)
  }
}

extension AdapterModule {
  /// γ · B · A in float64, row-major [out, in].
  func delta() throws -> [Double] {
    let (left, right) = (try #require(b.float32Values()), try #require(a.float32Values()))
    var values = [Double](repeating: 0, count: outputs * inputs)
    for row in 0..<outputs {
      for column in 0..<inputs {
        var sum = 0.0
        for index in 0..<rank { sum += Double(left[row * rank + index]) * Double(right[index * inputs + column]) }
        values[row * inputs + column] = scaling * sum
      }
    }
    return values
  }
}

/// A model of which only names and shapes are known.
struct ShapesOnly: WeightSource {
  var shapes: [String: Shape]

  var names: [String] { shapes.keys.sorted() }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(.float32)) } }
  func load(_ name: String) throws -> Weight { .dense(Tensor(dataType: .float32, shape: shapes[name] ?? [0]) { _ in }) }

  /// The tiny Llama of the fixtures.
  static var tinyLlama: ShapesOnly {
    var shapes: [String: Shape] = ["model.embed_tokens.weight": [10, 8], "lm_head.weight": [10, 8], "model.norm.weight": [8]]
    for block in 0..<2 {
      let prefix = "model.layers.\(block)."
      for (name, shape) in [
        ("self_attn.q_proj", [8, 8]), ("self_attn.k_proj", [4, 8]), ("self_attn.v_proj", [4, 8]), ("self_attn.o_proj", [8, 8]),
        ("mlp.gate_proj", [12, 8]), ("mlp.up_proj", [12, 8]), ("mlp.down_proj", [8, 12]), ("input_layernorm", [8]),
      ] { shapes["\(prefix)\(name).weight"] = Shape(shape) }
    }
    return ShapesOnly(shapes: shapes)
  }

  var modules: [String] { names.map { String($0.dropLast(7)) } }
}
