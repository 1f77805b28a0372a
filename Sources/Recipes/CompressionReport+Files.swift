import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import Tensors

extension CompressionReport.Size {
  /// What a written checkpoint takes, beside its source.
  init(of written: ModelBundle, from source: ModelBundle) {
    let (before, after) = (source.sourceBytes, written.sourceBytes)
    let weightBytes = written.checkpoint.descriptors.reduce(0) { $0 + ($1.byteCount ?? 0) }
    let weights = written.weights.names.reduce(0) { $0 + (written.weights.describe($1)?.shape.elementCount ?? 0) }
    self.init(
      sourceBytes: before, outputBytes: after, ratio: before > 0 ? Double(after) / Double(before) : nil,
      bitsPerWeight: weights > 0 ? Double(weightBytes) * 8 / Double(weights) : nil, parameters: written.graph.parameterCount,
      byKind: Self.kinds(of: written, from: source))
  }

  private static func kinds(of written: ModelBundle, from source: ModelBundle) -> [Kind] {
    func bytes(_ model: ModelBundle) -> [String: Int] {
      model.graph.parameterIDs.reduce(into: [:]) { sums, id in
        let parameter = model.graph[id]
        sums[parameter.role.kindName, default: 0] += model.storedBytes(of: parameter.name)
      }
    }
    let (before, after) = (bytes(source), bytes(written))
    return ["attention", "mlp", "experts", "shared experts", "router", "embedding", "head", "norm", "bias"].compactMap { kind in
      before[kind].map { .init(kind: kind, sourceBytes: $0, outputBytes: after[kind] ?? 0) }
    }
  }
}

extension CompressionReport.OutputFile {
  /// The weights of a written checkpoint.
  /// - Parameter known: digests that were found out before.
  static func files(of written: ModelBundle, known: [URL: String] = [:]) throws -> [CompressionReport.OutputFile] {
    let known = Dictionary(uniqueKeysWithValues: known.map { ($0.key.standardizedFileURL.path, $0.value) })
    return try written.checkpoint.files.map { file in
      let size = try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
      let digest = try known[file.standardizedFileURL.path] ?? FileDigest.hexadecimal(of: file)
      return .init(name: file.lastPathComponent, bytes: size ?? nil, sha256: digest)
    }
  }
}

extension ParameterRole {
  /// The kind that sizes are listed under.
  fileprivate var kindName: String {
    switch self {
    case .attentionQuery, .attentionKey, .attentionValue, .attentionOutput, .attentionQueryDown, .attentionKeyValueDown,
      .attentionKeyValueUp:
      "attention"
    case .expertGate, .expertUp, .expertDown: "experts"
    case .sharedExpertGate, .sharedExpertUp, .sharedExpertDown: "shared experts"
    case .router, .routerCorrection: "router"
    case .mlpGate, .mlpUp, .mlpDown: "mlp"
    case .tokenEmbedding, .positionEmbedding, .tokenTypeEmbedding: "embedding"
    case .languageModelHead: "head"
    case .normGain, .headNormGain, .latentNormGain, .normSteepness: "norm"
    case .bias: "bias"
    case .adapterDown, .adapterUp, .adapterMagnitude, .adapterNorm: "adapter"
    }
  }
}

extension ModelBundle {
  /// The share of the weights of linear layers, the head left out, that are zero.
  func zeroShare() throws -> Double {
    var (zeros, total) = (0, 0)
    for block in graph.blocks where block.kind != .head {
      for (_, id) in graph.linears(of: block) {
        let matrix = try Matrix(graph[id])
        graph[id].releasePages()
        for index in 0..<matrix.rows * matrix.columns where matrix.pointer[index] == 0 { zeros += 1 }
        total += matrix.rows * matrix.columns
      }
    }
    return Double(zeros) / Double(max(1, total))
  }
}
