import Diagnostics
import ModelGraph
import Tensors

/// Parameters of a model of which some rows and columns are kept, picked whenever one is read, in the type they are stored in.
package struct SlicedWeights: WeightSource {
  private struct Entry {
    let origin: Parameter
    let picks: AxisPicks
    let shape: Shape
  }

  private let entries: [TensorName: Entry]

  package init(_ parameters: [(parameter: Parameter, picks: AxisPicks)]) {
    entries = Dictionary(
      parameters.map { parameter, picks in
        var dimensions = parameter.shape.dimensions
        if let rows = picks.rows { dimensions[0] = rows.count }
        if let columns = picks.columns, dimensions.count > 1 { dimensions[1] = columns.count }
        return (TensorName(parameter.name), Entry(origin: parameter, picks: picks, shape: Shape(dimensions)))
      }, uniquingKeysWith: { first, _ in first })
  }

  package var names: [String] { entries.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  package func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    guard let entry = entries[TensorName(name)], let storage = entry.origin.weightStorage else { return nil }
    return (entry.shape, storage)
  }

  package func release(_ name: String) { entries[TensorName(name)]?.origin.releasePages() }

  package func load(_ name: String) throws -> Weight {
    guard let entry = entries[TensorName(name)] else {
      throw CompressionError(name, "is no parameter of the pruned model", remedy: "prune the model that this belongs to", kind: .badData)
    }
    guard case .dense(let tensor) = try entry.origin.load() else {
      throw CompressionError(name, "is quantized: its channels cannot be removed", remedy: "start from the unquantized model", kind: .usage)
    }
    return .dense(tensor.picking(entry.picks, shape: entry.shape))
  }
}

extension Tensor {
  /// Some rows and columns of a matrix, or elements of a vector, bit by bit.
  fileprivate func picking(_ picks: AxisPicks, shape result: Shape) -> Tensor {
    let size = dataType.bitWidth / 8
    let width = shape.rank > 1 ? shape[1] : 1
    let rows = picks.rows ?? Array(0..<shape[0])
    return Tensor(dataType: dataType, shape: result) { target in
      withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        var place = to
        for row in rows {
          let line = from + row * width * size
          guard let columns = picks.columns, shape.rank > 1 else {
            place.copyMemory(from: line, byteCount: width * size)
            place += width * size
            continue
          }
          for run in columns.runs {
            place.copyMemory(from: line + run.lowerBound * size, byteCount: run.count * size)
            place += run.count * size
          }
        }
      }
    }
  }
}

extension [Int] {
  /// Numbers that follow each other, taken together.
  fileprivate var runs: [Range<Int>] {
    var result: [Range<Int>] = []
    for number in self {
      if let last = result.last, last.upperBound == number {
        result[result.count - 1] = last.lowerBound..<number + 1
      } else {
        result.append(number..<number + 1)
      }
    }
    return result
  }
}
