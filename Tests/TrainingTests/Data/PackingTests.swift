import Testing

@testable import Training

@Suite("Packing and order")
struct PackingTests {
  static let lengths = [5, 9, 2, 7, 1, 4, 10, 3, 3, 6]

  @Test func inOrderRowsTakeWhatFitsNext() throws {
    let packer = try TrainingPacker(length: 10, strategy: .inOrder)
    #expect(try packer.rows(lengths: Self.lengths, order: Array(0..<10)) == [[0], [1], [2, 3, 4], [5], [6], [7, 8], [9]])
  }

  @Test func theLongestFirstFillsRowsBetter() throws {
    let packer = try TrainingPacker(length: 10)
    let rows = try packer.rows(lengths: Self.lengths, order: Array(0..<10))
    // Fifty tokens in five rows is as good as can be.
    #expect(rows == [[0, 2, 8], [1, 4], [3, 7], [5, 9], [6]])
  }

  @Test(arguments: [1, 3, 1000], [10, 16, 64])
  func everyExampleIsInOneRowThatHoldsIt(_ buffer: Int, _ length: Int) throws {
    let packer = try TrainingPacker(length: length, strategy: .firstFitDecreasing(buffer: buffer))
    let order = try BatchOrder(count: 10, seed: 5).order(epoch: 3)
    let rows = try packer.rows(lengths: Self.lengths, order: order)
    #expect(rows.flatMap { $0 }.sorted() == Array(0..<10))
    #expect(rows.allSatisfy { $0.reduce(0) { $0 + Self.lengths[$1] } <= length })
    #expect(try packer.rows(lengths: Self.lengths, order: order) == rows)
    if buffer == 1 { #expect(rows.map { $0[0] } == order) }
  }

  @Test func rowsKeepExamplesApart() throws {
    let examples = try [[1, 2, 3], [4, 5], [6, 7, 8, 9]].map { tokens in
      try #require(TrainingExample(tokens: tokens.map { Int32($0) }, isTarget: tokens.map { $0 % 2 == 0 }))
    }
    let rows = try TrainingPacker(length: 6, strategy: .inOrder).pack(examples, order: [1, 0, 2])
    #expect(rows.map(\.tokens) == [[4, 5, 1, 2, 3], [6, 7, 8, 9]])
    #expect(rows.map(\.lengths) == [[2, 3], [4]])
    #expect(rows[0].isTarget == [false, false, false, true, false])
    #expect(rows[0].examples == [1, 0])
  }

  @Test func refusesWhatDoesNotFit() throws {
    let packer = try TrainingPacker(length: 9)
    let error = #expect(throws: TrainingError.self) { try packer.rows(lengths: Self.lengths, order: Array(0..<10)) }
    #expect(error?.subject == "example 6")
    #expect(throws: TrainingError.self) { try packer.rows(lengths: [1], order: [1]) }
    #expect(throws: TrainingError.self) { try TrainingPacker(length: 1) }
    #expect(throws: TrainingError.self) { try TrainingPacker(length: 8, strategy: .firstFitDecreasing(buffer: 0)) }
    #expect(TrainingExample(tokens: [1], isTarget: []) == nil)
  }

  @Test func ordersAreAFunctionOfSeedAndEpoch() throws {
    let order = try BatchOrder(count: 100, seed: 1)
    let first = order.order(epoch: 0)
    #expect(first.sorted() == Array(0..<100))
    #expect(first != Array(0..<100))
    #expect(order.order(epoch: 0) == first)
    #expect(order.order(epoch: 1) != first)
    #expect(try BatchOrder(count: 100, seed: 2).order(epoch: 0) != first)
    #expect(try BatchOrder(count: 0, seed: 1).order(epoch: 4) == [])
  }

  /// Every place is taken by every example about as often: chi-squared of 2000 shuffles of 8, 49 degrees of freedom.
  @Test func shufflesAreEven() throws {
    var counts = Array(repeating: 0, count: 64)
    let order = try BatchOrder(count: 8, seed: 77)
    for epoch in 0..<2000 { for (place, example) in order.order(epoch: epoch).enumerated() { counts[place * 8 + example] += 1 } }
    let statistic = counts.reduce(0.0) { $0 + (Double($1) - 250) * (Double($1) - 250) / 250 }
    #expect(statistic < 85.4, "beyond the 99.9th percentile")
  }

  @Test func aCurriculumIsTheFirstEpoch() throws {
    let order = try BatchOrder(difficulties: [3, .nan, 1, 3, -2], seed: 9)
    #expect(order.order(epoch: 0) == [4, 2, 0, 3, 1])
    #expect(order.order(epoch: 1) == (try BatchOrder(count: 5, seed: 9).order(epoch: 1)))
    #expect(throws: TrainingError.self) { try BatchOrder(count: 3, seed: 1, curriculum: [0, 1, 1]) }
    #expect(throws: TrainingError.self) { try BatchOrder(count: 3, seed: 1, curriculum: [0, 1]) }
  }
}
