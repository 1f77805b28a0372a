// A method of your own: int8 codes whose scales are powers of two, for the MLP only.
//
//     swift run -c release --package-path Examples custom-pass
import DeepSeekOptimize
import Foundation

struct PowerOfTwoScales: CompressionPass {
  static let identifier = "power-of-two-scales"
  static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])

  /// The one option: which matrices to quantize.
  var roles: [ParameterRole] = [.mlpGate, .mlpUp, .mlpDown]

  func validate(for graph: ModelGraph) throws(CompressionError) {
    for id in graph.parameterIDs where roles.contains(graph[id].role) {
      guard case .dense(.bfloat16)? = graph[id].weightStorage else {
        throw CompressionError(graph[id].module, "is not stored in bfloat16", remedy: "start from a BF16 model", kind: .usage)
      }
    }
  }

  func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    Worker(targets: Set(graph.parameterIDs.filter { roles.contains(graph[$0].role) }))
  }
}

struct Worker: BlockPass {
  let targets: Set<ParameterID>
  let scheme = QuantizationScheme(bits: 8)
  var record = PassRecord(pass: PowerOfTwoScales.identifier)

  var plan: [ParameterID: WeightStorage] { Dictionary(uniqueKeysWithValues: targets.map { ($0, .quantized(scheme)) }) }

  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
    for (node, id) in graph.linears(of: block) where targets.contains(id) {
      guard case .dense(let weight) = try graph[id].load(), let tensor = quantized(weight) else {
        throw CompressionError(node.scope, "cannot be held as \(scheme.name)", remedy: "look for NaN in its weights", kind: .badData)
      }
      try graph.replace(id, with: .quantized(tensor))
      record.layers.append(.init(module: node.scope, scheme: scheme, weights: weight.shape.elementCount))
    }
  }

  private func quantized(_ weight: Tensor) -> QuantizedTensor? {
    guard let values = weight.float32Values(), values.allSatisfy(\.isFinite) else { return nil }
    let (rows, columns) = (weight.shape[0], weight.shape[1])
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: 8)
    var scales = [Float](repeating: 1, count: rows)
    let codes = Tensor(dataType: .int32, shape: [rows, words]) { bytes in
      for row in 0..<rows {
        let line = values[row * columns..<(row + 1) * columns]
        // The smallest power of two that keeps every code within ±127; a row of zeros gets 2^-100.
        scales[row] = exp2(max(-100, log2(line.reduce(0) { max($0, abs($1)) } / 127).rounded(.up)))
        for (column, value) in line.enumerated() {
          // Stored unsigned, code + 128: at 8 bits that is one byte each.
          bytes[row * words * 4 + column] = UInt8(clamping: 128 + Int((value / scales[row]).rounded(.toNearestOrEven)))
        }
      }
    }
    // Scales are stored in the type of the weight. Powers of two lose nothing by it.
    guard let stored = Tensor(scales, shape: [rows, 1]).converted(to: weight.dataType) else { return nil }
    return QuantizedTensor(scheme: scheme, shape: weight.shape, codes: codes, scales: stored, zeroPoints: nil)
  }
}

var settings = RunSettings(output: FileManager.default.temporaryDirectory.appendingPathComponent("demo-power-of-two"))
settings.overwrite = true
let run = CompressionRun(model: try ModelBundle(opening: "demo"), recipe: Recipe { PowerOfTwoScales() }, settings: settings)
print(ReportTable(try run.execute()).text())
