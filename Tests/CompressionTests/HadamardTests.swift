import ModelGraph
import Tensors
import Testing

@testable import Compression

@Suite struct HadamardTests {
  @Test(arguments: [1, 4, 8, 12, 20, 28, 36, 44, 60])
  func matricesAreHadamard(_ order: Int) throws {
    let matrix = try #require(HadamardMatrix.values(order: order))
    #expect(matrix.allSatisfy { abs($0) == 1 })
    for row in 0..<order {
      for other in 0..<order {
        let product = (0..<order).reduce(Float(0)) { $0 + matrix[row * order + $1] * matrix[other * order + $1] }
        #expect(product == (row == other ? Float(order) : 0))
      }
    }
  }

  @Test func ordersWithoutAConstructionAreRefused() {
    for order in [0, 2, 3, 6, 52, 92, 260] { #expect(HadamardMatrix.values(order: order) == nil) }
  }

  @Test(arguments: [
    (4096, 1, 4096), (3072, 12, 3072), (2560, 20, 2560), (3584, 28, 3584), (4608, 36, 4608), (13 * 64, 1, 64), (3 * 2, 1, 2), (7, 1, 1),
  ])
  func widthsAreTakenApart(_ width: Int, _ order: Int, _ size: Int) {
    let parts = HadamardMatrix.decomposition(of: width)
    #expect(parts.order == order && parts.size == size)
  }

  /// The transform against its definition, entry by entry, and rows against columns.
  @Test(arguments: [1, 2, 16, 12, 24, 40, 56, 6, 96])
  func rowsAndColumnsAgreeAndKeepProducts(_ width: Int) throws {
    let transform = HadamardTransform(width: width, seed: 5)
    var identity = [Float](repeating: 0, count: width * width)
    for index in 0..<width { identity[index * width + index] = 1 }
    var q = identity
    q.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { transform.transformRows(base, rows: width) } }
    // Q itself; orthogonal, every entry of its blocks alike but for the sign.
    for row in 0..<width {
      for other in 0..<width {
        let product = (0..<width).reduce(Float(0)) { $0 + q[row * width + $1] * q[other * width + $1] }
        #expect(abs(product - (row == other ? 1 : 0)) < 1e-5)
      }
    }
    #expect(q.allSatisfy { $0 == 0 || abs(abs($0) - 1 / Float(transform.size).squareRoot()) < 1e-6 })
    #expect(q.filter { $0 != 0 }.count == width * transform.size)
    var transposed = identity
    transposed.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { transform.transformColumns(base, columns: width) } }
    for row in 0..<width {
      for column in 0..<width { #expect(abs(transposed[row * width + column] - q[column * width + row]) < 1e-6) }
    }
  }

  @Test func repeatedRunsTurnAlike() {
    let (one, three) = (HadamardTransform(width: 24, seed: 3), HadamardTransform(width: 24, seed: 3, repetitions: 3))
    let values = (0..<24).map { Float($0 * 7 % 11) - 5 }
    var (single, many) = (values, values + values + values)
    single.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { one.transformRows(base, rows: 1) } }
    many.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { three.transformRows(base, rows: 1) } }
    #expect(many == single + single + single)
    #expect(HadamardTransform(width: 24, seed: 4) != one)
  }
}
