import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// What a checkpoint holds, as figures.
public struct Inspection: Sendable {
  /// A kind of storage: how many weights it holds and in how many tensors.
  public struct Kind: Sendable {
    public let storage: String
    public let tensors: Int
    public let weights: Int
  }

  public let bundle: ModelBundle
  public let kinds: [Kind]
  public let tensorBytes: Int
  public let weights: Int

  public init(_ bundle: ModelBundle) {
    self.bundle = bundle
    var counts: [String: (tensors: Int, weights: Int)] = [:]
    for name in bundle.weights.names {
      guard let found = bundle.weights.describe(name) else { continue }
      let storage =
        switch found.storage {
        case .dense(let type): type.rawValue
        case .quantized(let scheme): scheme.name
        }
      counts[storage, default: (0, 0)].tensors += 1
      counts[storage, default: (0, 0)].weights += found.shape.elementCount
    }
    kinds = counts.map { Kind(storage: $0.key, tensors: $0.value.tensors, weights: $0.value.weights) }
      .sorted { ($0.weights, $0.storage) > ($1.weights, $1.storage) }
    tensorBytes = bundle.checkpoint.descriptors.reduce(0) { $0 + ($1.byteCount ?? 0) }
    weights = kinds.reduce(0) { $0 + $1.weights }
  }

  /// Over all weights, scales and unquantized tensors included.
  public var bitsPerWeight: Double { weights > 0 ? Double(tensorBytes) * 8 / Double(weights) : 0 }

  public var text: String {
    let graph = bundle.graph
    var rows: [(String, String)] = [
      ("model", bundle.name), ("family", graph.family),
      ("blocks", "\(graph.blocks.count - 2) layers"), ("vocabulary", "\(graph.vocabularySize)"),
      ("positions", "\(graph.maximumPositions)"), ("parameters", "\(graph.parameterCount)"),
      ("files", bundle.checkpoint.files.map(\.lastPathComponent).joined(separator: ", ")),
      ("tensor bytes", "\(tensorBytes)"), ("bits per weight", String(format: "%.4f", bitsPerWeight)),
    ]
    rows += graph.modules.map { ($0.kind, $0.text) }
    for kind in kinds { rows.append(("  \(kind.storage)", "\(kind.weights) weights in \(kind.tensors) tensors")) }
    if !bundle.unreadKeys.isEmpty { rows.append(("not used", bundle.unreadKeys.joined(separator: ", "))) }
    let width = (rows.map(\.0.count).max() ?? 0) + 2
    var lines = rows.map { $0.0.padding(toLength: width, withPad: " ", startingAt: 0) + $0.1.printable }
    lines.append("")
    lines.append(Self.listing(bundle.checkpoint))
    return lines.joined(separator: "\n")
  }

  /// The tensors of a file, a line each: name, type and shape.
  public static func listing(_ checkpoint: any Checkpoint) -> String {
    let descriptors = checkpoint.descriptors
    let width = (descriptors.map(\.name.count).max() ?? 0) + 2
    return descriptors.map {
      $0.name.printable.padding(toLength: width, withPad: " ", startingAt: 0)
        + $0.dataType.rawValue.padding(toLength: 6, withPad: " ", startingAt: 0)
        + $0.shape.description
    }.joined(separator: "\n")
  }

  public var json: JSONValue {
    let graph = bundle.graph
    return [
      "model": .string(bundle.name), "family": .string(graph.family), "layers": .integer(Int64(graph.blocks.count - 2)),
      "vocabularySize": .integer(Int64(graph.vocabularySize)), "maximumPositions": .integer(Int64(graph.maximumPositions)),
      "parameters": .integer(Int64(graph.parameterCount)), "tensorBytes": .integer(Int64(tensorBytes)),
      "bitsPerWeight": .number(bitsPerWeight),
      "modules": .object(graph.modules.reduce(into: [:]) { $0[$1.kind] = .string($1.text) }),
      "storage": .array(
        kinds.map { ["kind": .string($0.storage), "tensors": .integer(Int64($0.tensors)), "weights": .integer(Int64($0.weights))] }),
      "tensors": .array(
        bundle.checkpoint.descriptors.map {
          [
            "name": .string($0.name), "dtype": .string($0.dataType.rawValue),
            "shape": .array($0.shape.dimensions.map { .integer(Int64($0)) }),
          ]
        }),
      "unusedConfigurationKeys": .array(bundle.unreadKeys.map(JSONValue.string)),
    ]
  }
}
