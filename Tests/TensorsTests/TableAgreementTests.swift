import CKernels
import Tensors
import Testing

/// Tables that kernels and Swift both state.
@Suite struct TableAgreementTests {
  @Test(arguments: [(UInt32(20), CodeLevels.nonlinear4), (39, .float4)]) func blocksHaveTheSameLevels(number: UInt32, levels: CodeLevels)
    throws
  {
    let type = dso_block_type(number)
    let values = try #require(levels.values)
    let format = try #require(dso_block_format_of(type)).pointee
    let table = try #require(format.levels)
    #expect((0..<16).map { table[$0].bitPattern } == values.map(\.bitPattern))
    // The search has a table of its own: of levels it finds the codes of the levels, at a scale of 1.
    let x = values + values.reversed()
    var words = [UInt32](repeating: 0, count: 4), scale = UInt16(0), exponent = UInt8(0)
    let bytes = Int(dso_block_search_scratch_bytes(32))
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    defer { scratch.deallocate() }
    var search = dso_block_search(type: type, plain: 1, by_magnitude: 0)
    withUnsafeMutablePointer(to: &scale) { scale in
      withUnsafeMutablePointer(to: &exponent) { exponent in
        let parts = dso_block_parts(scales: scale, minima: nil, scale_codes: nil, minimum_codes: nil, exponents: exponent)
        #expect(dso_quantize_blocks(&search, x, 32, 1, 32, nil, &words, parts, scratch) == 0)
      }
    }
    #expect(levels == .float4 ? exponent == 127 : scale == 0x3C00)
    let found = (0..<32).map { values[Int(words[$0 / 8] >> UInt32($0 % 8 * 4) & 15)] }
    #expect(found == x)
  }

  /// Codes and zero points lie in AWQ's words in one order.
  @Test func codesAndZeroPointsAreOrderedAlike() throws {
    let matrix = Tensor(int8: (0..<16 * 24).map { Int8(truncatingIfNeeded: $0 * 7 % 16 - 8) }, shape: [16, 24])
    let packed = try #require(CodePacking.packed(signedBytes: matrix, bits: 4))
    let turned = try #require(CodePacking.transposed(matrix))
    let codes = try #require(CodePacking.awq(packed))
    let points = try #require(CodePacking.awq(alongColumns: turned))
    #expect(codes.shape == points.shape && bytes(codes) == bytes(points))
    let read = try #require(CodePacking.signedBytes(ofAWQAlongColumns: codes))
    let back = try #require(CodePacking.transposed(read))
    #expect(bytes(back) == bytes(matrix))
  }

  private func bytes(_ tensor: Tensor) -> [UInt8] { tensor.withUnsafeBytes { Array($0) } }

  /// Any place, any width, and no more than the matrix is touched.
  @Test(arguments: [1, 2, 4]) func matricesAreTransposedInPlaceOfAnother(width: Int) {
    let (rows, columns) = (5, 33)
    let source = (0..<(rows * columns + 3) * width).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    var target = [UInt8](repeating: 0xEE, count: (rows * columns + 7) * width)
    source.withUnsafeBytes { source in
      target.withUnsafeMutableBytes { transpose(source, at: 3, rows: rows, columns: columns, into: $0, at: 2, width: width) }
    }
    for row in 0..<rows {
      for column in 0..<columns {
        let (from, to) = ((3 + row * columns + column) * width, (2 + column * rows + row) * width)
        #expect(target[to..<to + width].elementsEqual(source[from..<from + width]))
      }
    }
    #expect(target.prefix(2 * width).allSatisfy { $0 == 0xEE } && target.suffix(5 * width).allSatisfy { $0 == 0xEE })
  }
}
