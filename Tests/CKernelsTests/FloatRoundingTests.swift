import CKernels
import Testing

/// Rounding to floats of eight and four bits, worked out from the tables of their values.
@Suite struct FloatRoundingTests {
  /// What a code of E4M3 stands for, by its definition.
  private func float8(_ code: UInt8) -> Float {
    let (exponent, fraction) = (Int(code >> 3 & 15), Float(code & 7))
    let size: Float = exponent == 0 ? fraction / 512 : (1 + fraction / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
    return code & 0x80 == 0 ? size : -size
  }

  private func rounded(_ values: [Float], scale: Float = 1) -> [UInt8] {
    var codes = [UInt8](repeating: 0, count: values.count)
    dso_round_to_e4m3(values, Int64(values.count), scale, &codes)
    return codes
  }

  @Test func everyCodeIsItself() {
    let codes = (0..<256).map(UInt8.init).filter { $0 & 0x7f != 0x7f }
    #expect(rounded(codes.map(float8)) == codes)
    #expect(rounded(codes.map { float8($0) * 0.375 }, scale: 0.375) == codes)
  }

  @Test func whatLiesBetweenGoesToTheNearestAndTiesToTheEvenCode() {
    for code in UInt8(0)..<0x7e {
      let (low, high) = (float8(code), float8(code + 1))
      let middle = (low + high) / 2
      let even = code & 1 == 0 ? code : code + 1
      #expect(rounded([middle, middle.nextDown, middle.nextUp, -middle]) == [even, code, code + 1, even | 0x80], "\(code)")
    }
  }

  @Test func whatIsTooLargeSaturatesAndNaNStays() {
    #expect(rounded([449, 1e30, .infinity, -464, -.infinity]) == [0x7e, 0x7e, 0x7e, 0xfe, 0xfe])
    #expect(rounded([.nan])[0] & 0x7f == 0x7f)
    #expect(dso_count_e4m3_nan([0x7f, 0xff, 0x7e, 0], 4) == 2)
  }

  @Test func activationsKeepAScaleOfTheirOwn() {
    let x: [Float] = [448, 224, 1, 0, -3, 0.3, 0.1, 0, 0]
    var y = [Float](repeating: 7, count: 9)
    dso_fake_quantize_rows_e4m3(x, 4, 2, 4, 4, &y, 4)
    #expect(Array(y.prefix(4)) == [448, 224, 1, 0])
    // The second row: a scale of 3 / 448.
    let scale = Float(3) / 448
    #expect(Array(y[4..<8]) == [-448 * scale, float8(rounded([0.3 / scale])[0]) * scale, float8(rounded([0.1 / scale])[0]) * scale, 0])
    dso_fake_quantize_rows_e4m3(x, 9, 1, 9, 4, &y, 9)
    #expect(Array(y.prefix(4)) == [448, 224, 1, 0] && y[4] == -448 * scale && y[8] == 0)
  }

  // MARK: - NVFP4

  private let levels: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]

  private func nvfp4(_ x: [Float], importance: [Float]? = nil, divisor: Float, plain: Bool) -> (
    codes: [UInt8], scales: [UInt8], values: [Float]
  ) {
    var codes = [UInt8](repeating: 0, count: x.count), scales = [UInt8](repeating: 0, count: x.count / 16)
    var search = dso_nvfp4_search(divisor: divisor, plain: plain ? 1 : 0)
    if let importance {
      dso_quantize_nvfp4_row(&search, x, importance, Int64(x.count), &codes, &scales)
    } else {
      dso_quantize_nvfp4_row(&search, x, nil, Int64(x.count), &codes, &scales)
    }
    let values = codes.enumerated().map { index, code in
      levels[Int(code & 7)] * (code & 8 == 0 ? 1 : -1) * (float8(scales[index / 16]) / divisor)
    }
    return (codes, scales, values)
  }

  @Test func plainPutsTheLargestAtSix() {
    let x: [Float] = [6, -6, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -0.1, 0, 0.3, -2.6, 1, 2, 4]
    let result = nvfp4(x, divisor: 1, plain: true)
    #expect(result.scales == [0x38])
    // Ties go to the even code, and what becomes 0 keeps its sign.
    #expect(result.codes == [7, 15, 0, 2, 2, 4, 4, 6, 6, 8, 0, 1, 13, 2, 4, 6])
  }

  @Test func zerosAreZerosWhateverTheScale() {
    let result = nvfp4([Float](repeating: 0, count: 32), divisor: 3, plain: false)
    #expect(result.codes.allSatisfy { $0 == 0 } && result.scales == [0x38, 0x38])
  }

  @Test func theSearchLeavesNoMoreThanThePlainScale() {
    var state: UInt64 = 9
    func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
    }
    let x = (0..<1024).map { _ in next() * next() * next() }, importance = (0..<1024).map { _ in abs(next()) + 0.01 }
    let divisor = 2688 / (x.map(abs).max() ?? 1)
    func error(_ values: [Float], _ weights: [Float]?) -> Float {
      zip(x, values).enumerated().reduce(0) { sum, pair in
        let difference = pair.element.0 - pair.element.1
        return sum + (weights?[pair.offset] ?? 1) * difference * difference
      }
    }
    let plain = nvfp4(x, divisor: divisor, plain: true).values
    let searched = nvfp4(x, divisor: divisor, plain: false).values
    let weighed = nvfp4(x, importance: importance, divisor: divisor, plain: false).values
    #expect(error(searched, nil) < 0.95 * error(plain, nil))
    #expect(error(weighed, importance) < error(searched, importance))
  }
}

/// Moving codes between rows and columns.
@Suite struct RearrangingTests {
  @Test(arguments: [1, 2, 4]) func transposesWholeMatrices(width: Int) {
    for (rows, columns) in [(1, 1), (3, 50), (33, 65), (70, 2)] {
      let bytes = (0..<rows * columns * width).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 5) }
      var result = [UInt8](repeating: 0, count: bytes.count)
      dso_transpose(bytes, Int64(rows), Int64(columns), Int32(width), &result)
      for row in 0..<rows {
        for column in 0..<columns {
          let (from, to) = ((row * columns + column) * width, (column * rows + row) * width)
          #expect(result[to..<to + width].elementsEqual(bytes[from..<from + width]))
        }
      }
    }
  }

  @Test func awqKeepsEvenRowsFirst() {
    // Code = the row, in all eight columns.
    let rows: [UInt32] = (0..<8).map { 0x1111_1111 &* UInt32($0) }
    var words = [UInt32](repeating: 0, count: 8), back = words
    dso_rows_to_awq(rows, 8, 8, &words)
    #expect(words == [UInt32](repeating: 0x7531_6420, count: 8))
    dso_awq_to_rows(words, 8, 8, &back)
    #expect(back == rows)
    // Code = the column, in all eight rows.
    dso_rows_to_awq([UInt32](repeating: 0x7654_3210, count: 8), 8, 8, &words)
    #expect(words == (0..<8).map { 0x1111_1111 &* UInt32($0) })
  }
}
