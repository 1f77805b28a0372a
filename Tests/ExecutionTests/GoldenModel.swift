import Architectures
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// A model made with transformers, and what transformers computes with it (make-goldens.py).
struct GoldenModel {
  let graph: ModelGraph
  let golden: SafeTensorsFile

  static let fixtures = Bundle.module.resourceURL?.appendingPathComponent("Fixtures") ?? URL(fileURLWithPath: "Fixtures")

  /// The cases beside this file: a folder each.
  static let names: [String] = {
    let folders = (try? FileManager.default.contentsOfDirectory(at: fixtures, includingPropertiesForKeys: nil)) ?? []
    return folders.filter(\.hasDirectoryPath).map(\.lastPathComponent).sorted()
  }()

  static let legacyNames = names.filter {
    FileManager.default.fileExists(atPath: fixtures.appendingPathComponent("\($0)/config.legacy.json").path)
  }

  init(_ name: String, configuration: String = "config.json") throws {
    let folder = Self.fixtures.appendingPathComponent(name)
    try self.init(
      model: folder, configuration: configuration, golden: folder.appendingPathComponent("golden.safetensors"),
      weights: folder.appendingPathComponent("model.safetensors"))
  }

  init(model: URL, configuration: String = "config.json", golden: URL, weights: URL? = nil) throws {
    let text = try String(contentsOf: model.appendingPathComponent(configuration), encoding: .utf8)
    let checkpoint = try SafeTensorsCheckpoint(weights ?? model)
    graph = try ArchitectureCatalog.graph(
      configuration: JSONValue(parsing: text), weights: PlainSource(checkpoint: checkpoint)
    ).graph
    self.golden = try SafeTensorsFile(golden)
  }

  func integers(_ name: String) throws -> [[Int32]] {
    let tensor = try golden.tensor(name)
    let width = tensor.shape[tensor.shape.rank - 1]
    let values = tensor.withUnsafeBytes { bytes in
      (0..<tensor.shape.elementCount).map { Int32(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
    }
    return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
  }

  func floats(_ name: String) throws -> [Float] { try golden.tensor(name).float32Values() ?? [] }

  /// Logits of every row of the windows.
  static func logits(_ graph: ModelGraph, windows: [[Int32]], interpreter: Interpreter) throws -> Matrix {
    let states = try ForwardStream(interpreter: interpreter).hidden(of: graph, windows: windows)
    let rows = states.reduce(0) { $0 + $1.matrix.rows }
    let input = Matrix(rows: rows, columns: states[0].matrix.columns)
    var row = 0
    for state in states {
      input.row(row).update(from: state.matrix.pointer, count: state.matrix.rows * state.matrix.columns)
      row += state.matrix.rows
    }
    let head = graph.blocks[graph.blocks.count - 1]
    return try interpreter.run(
      head, of: graph, weights: LoadedBlock(head, of: graph), input: input, sequences: SequenceLayout(lengths: [rows]))
  }

  /// The largest difference between our logits and the golden ones at the golden positions.
  func largestDifference(threads: Int) throws -> Float {
    let windows = try integers("input_ids")
    let positions = try integers("positions")[0]
    let expected = try floats("logits")
    let logits = try Self.logits(graph, windows: windows, interpreter: Interpreter(pool: ThreadPool(threads: threads)))
    var worst: Float = 0
    var index = 0
    for window in windows.indices {
      for position in positions {
        let row = logits.row(window * windows[0].count + Int(position))
        for column in 0..<logits.columns {
          // A NaN must not pass as "no difference".
          let difference = abs(row[column] - expected[index])
          worst = difference.isNaN ? .infinity : max(worst, difference)
          index += 1
        }
      }
    }
    return index == expected.count ? worst : .infinity
  }
}
