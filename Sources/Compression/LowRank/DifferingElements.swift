import CKernels
import Tensors

/// Where two matrices of the same type differ, and what the first has there.
package struct DifferingElements {
  /// How many of each row, int32.
  package let counts: Tensor
  /// Their columns, row by row, int32; nil for none.
  package let columns: Tensor?
  /// In the type of the matrices.
  package let values: Tensor?

  /// As it was kept; whether it fits a matrix is found out when it is used.
  package init(counts: Tensor, columns: Tensor?, values: Tensor?) {
    (self.counts, self.columns, self.values) = (counts, columns, values)
  }

  /// - Parameter other: of the same type and shape, a matrix.
  package init(of tensor: Tensor, from other: Tensor) {
    let (rows, width, size) = (tensor.shape[0], tensor.shape[1], tensor.dataType.bitWidth / 8)
    var counts: [Int32] = []
    var places: [Int32] = []
    var values: [UInt8] = []
    var found = [Int32](repeating: 0, count: width)
    tensor.withUnsafeBytes { first in
      other.withUnsafeBytes { second in
        guard let a = first.baseAddress, let b = second.baseAddress else { return }
        for row in 0..<rows {
          let start = row * width * size
          let count = Int(dso_differing_columns(a + start, b + start, Int64(width), Int64(size), &found))
          counts.append(Int32(count))
          places += found[..<count]
          for column in found[..<count] { values += first[(start + Int(column) * size)..<(start + Int(column) * size + size)] }
        }
      }
    }
    func integers(_ values: [Int32]) -> Tensor {
      values.withUnsafeBytes { bytes in Tensor(dataType: .int32, shape: [values.count]) { $0.copyMemory(from: bytes) } }
    }
    self.counts = integers(counts)
    columns = places.isEmpty ? nil : integers(places)
    self.values =
      places.isEmpty
      ? nil : values.withUnsafeBytes { bytes in Tensor(dataType: tensor.dataType, shape: [places.count]) { $0.copyMemory(from: bytes) } }
  }

  package var byteCount: Int { counts.byteCount + (columns?.byteCount ?? 0) + (values?.byteCount ?? 0) }

  /// The first matrix again, from the second; nil where these elements do not fit it.
  package func replacing(in other: Tensor) -> Tensor? {
    let (rows, width, size) = (other.shape[0], other.shape[1], other.dataType.bitWidth / 8)
    guard counts.dataType == .int32, counts.shape == [rows], columns.map({ $0.dataType == .int32 }) ?? true else { return nil }
    let (numbers, places) = (counts.loadedElements(as: Int32.self), columns?.loadedElements(as: Int32.self) ?? [])
    guard numbers.allSatisfy({ $0 >= 0 }), numbers.reduce(0, { $0 + Int($1) }) == places.count,
      places.allSatisfy({ $0 >= 0 && Int($0) < width }), places.isEmpty || values?.shape == [places.count],
      values.map({ $0.dataType == other.dataType }) ?? true
    else { return nil }
    return Tensor(dataType: other.dataType, shape: other.shape) { target in
      other.withUnsafeBytes { target.copyMemory(from: $0) }
      values?.withUnsafeBytes { kept in
        var next = 0
        for (row, count) in numbers.enumerated() {
          for _ in 0..<count {
            let start = (row * width + Int(places[next])) * size
            for byte in 0..<size { target[start + byte] = kept[next * size + byte] }
            next += 1
          }
        }
      }
    }
  }
}

extension Tensor {
  /// The elements, of a type that has been checked, wherever they lie.
  package func loadedElements<Element: BitwiseCopyable>(as type: Element.Type) -> [Element] {
    let size = MemoryLayout<Element>.size
    return withUnsafeBytes { bytes in (0..<shape.elementCount).map { bytes.loadUnaligned(fromByteOffset: $0 * size, as: type) } }
  }
}
