import Architectures
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors
import Testing

/// A model and what the reference converter made of it (`make-gguf-architecture-fixtures.py`).
struct GGUFArchitectureGolden {
  struct Parameter {
    let name: String
    let shape: [Int]
    /// The first element; the others count on.
    let base: Int
  }

  struct Converted {
    let name: String
    let shape: [Int]
    let isFloat32: Bool
    let sum: UInt64?
    let values: [Float]
  }

  let configuration: JSONValue
  let parameters: [Parameter]
  let tensors: [Converted]
  let metadata: [(key: String, value: GGUFValue)]

  static let small = [
    "llama", "llama-biases", "llama-llama3", "llama-linear", "llama-yarn", "mistral", "mixtral", "qwen2", "qwen3", "qwen3-moe",
    "deepseek-v2-lite", "deepseek-v2-groups", "deepseek-v3", "bert",
  ]
  static let published = [
    "published-llama-3.2-1b", "published-mixtral-8x7b", "published-qwen2.5-7b", "published-qwen3-30b-a3b", "published-deepseek-v2-lite",
    "published-deepseek-v3", "published-bge-small-en",
  ]

  private static func shape(_ row: JSONValue) throws -> [Int] {
    let axes = row["shape"]?.array?.compactMap { $0.integer }
    return try #require(axes)
  }

  init(_ name: String) throws {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "ArchitectureFixtures"))
    let document = try JSONValue(parsing: String(contentsOf: url, encoding: .utf8))
    configuration = try #require(document["configuration"])
    parameters = try (document["parameters"]?.array ?? []).map { row in
      Parameter(
        name: try #require(row["name"]?.string), shape: try Self.shape(row),
        base: try #require(row["base"]?.integer))
    }
    tensors = try (document["tensors"]?.array ?? []).map { row in
      Converted(
        name: try #require(row["name"]?.string), shape: try Self.shape(row),
        isFloat32: row["type"]?.string == "F32", sum: row["sum"]?.string.flatMap { UInt64($0) },
        values: row["values"]?.array?.compactMap { $0.double.map { Float($0) } } ?? [])
    }
    metadata = try #require(document["metadata"]?.array).map { row in
      let cells = try #require(row.array)
      let key = try #require(cells[0].string)
      switch cells[1].string {
      case "uint32": return (key, .uint32(UInt32(try #require(cells[2].integer))))
      case "float32": return (key, .float32(Float(try #require(cells[2].double))))
      case "bool": return (key, .bool(try #require(cells[2].bool as Bool?)))
      default: return (key, .string(try #require(cells[2].string)))
      }
    }
  }
}

/// Parameters by name and shape, without values.
struct ShapesAlone: WeightSource {
  let shapes: [String: [Int]]
  var names: [String] { shapes.keys.sorted() }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { (Shape($0), .dense(.float32)) } }
  func load(_ name: String) throws -> Weight { throw GraphError(tensor: name, "has no values") }
}

/// The tensors of a file, for parameters of these shapes.
func tensors(of model: GGUFModel, _ parameters: [String: [Int]]) throws -> [String: [Int]] {
  var result: [String: [Int]] = [:]
  for (name, shape) in parameters {
    for place in try model.placements(of: name) { result[place.tensor] = try place.transform.tensorShape(of: shape) }
  }
  for extra in model.synthesizedTensors { result[extra.name] = [extra.values.count] }
  return result
}

/// The model that a file of that model would be.
func read(_ model: GGUFModel, _ tensors: [String: [Int]], changing change: (inout GGUFMetadata) -> Void = { _ in }) throws -> GGUFModel {
  var metadata = model.metadata(name: "a model", fileType: 0)
  change(&metadata)
  return try GGUFModel(
    metadata: metadata, tensors: tensors.sorted { $0.key < $1.key }.map { (name: $0.key, shape: $0.value) },
    rotaryDivisors: model.synthesizedTensors.first?.values, file: "model.gguf")
}
