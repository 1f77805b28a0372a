import CKernels
import Tensors
import Testing

@Suite struct TensorTests {
  @Test func shapesRefuseOverflowAndNegatives() {
    #expect(Shape([3, 4]).checkedElementCount == 12)
    #expect(Shape([]).checkedElementCount == 1)
    #expect(Shape([0, 1 << 40]).checkedElementCount == 0)
    // Nothing is in it, and whoever rounds it up to a group would overflow.
    #expect(Shape([0, Int.max]).checkedElementCount == nil)
    #expect(Shape([1 << 40, 0, 1 << 40]).checkedElementCount == nil)
    #expect(Shape([Int.max, 2]).checkedElementCount == nil)
    #expect(Shape([-1]).checkedElementCount == nil)
    #expect(DataType.float32.byteCount(ofElements: Int.max) == nil)
    #expect(DataType.float4E2M1.byteCount(ofElements: 3) == nil)
    #expect(DataType.float4E2M1.byteCount(ofElements: 4) == 2)
  }

  @Test func viewsMustFit() {
    let values = [Float](repeating: 1, count: 4)
    values.withUnsafeBytes { bytes in
      let storage = TensorStorage(bytes: bytes)
      #expect(Tensor(viewing: storage, offset: 0, byteCount: 16, dataType: .float32, shape: [4]) != nil)
      #expect(Tensor(viewing: storage, offset: 4, byteCount: 16, dataType: .float32, shape: [4]) == nil)
      #expect(Tensor(viewing: storage, offset: -4, byteCount: 4, dataType: .float32, shape: [1]) == nil)
      #expect(Tensor(viewing: storage, offset: 0, byteCount: 12, dataType: .float32, shape: [4]) == nil)
      #expect(Tensor(viewing: storage, offset: 0, byteCount: 0, dataType: .float32, shape: [Int.max, 8]) == nil)
    }
  }

  @Test func conversionsRoundToNearestEven() throws {
    let tensor = Tensor([1, 1.00390625, 1.01171875, -2.5, 65504, 1e-8, .infinity], shape: [7])
    let narrow = try #require(tensor.converted(to: .bfloat16))
    // Halfway between 1 and 1.0078125 goes to the even 1; halfway between 1.0078125 and 1.015625 to the even 1.015625.
    #expect(narrow.float32Values()?.prefix(4) == [1, 1, 1.015625, -2.5])
    let half = try #require(tensor.converted(to: .float16))
    #expect(half.float32Values()?[4] == 65504 && half.float32Values()?[6] == .infinity)
    #expect(Tensor(int8: [1, 1], shape: [2]).asFloat32() == nil)
  }

  @Test func rowsAreViews() throws {
    let tensor = Tensor([1, 2, 3, 4, 5, 6], shape: [3, 2])
    #expect(try #require(tensor.rows(1..<3)).float32Values() == [3, 4, 5, 6])
    #expect(tensor.rows(2..<4) == nil)
    #expect(tensor.reshaped([2, 3])?.shape == [2, 3])
    #expect(tensor.reshaped([4]) == nil)
  }

  /// Test vectors of FIPS 180-4 (NIST's examples).
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func digestsAgreeWithTheStandard(_ text: String, _ expected: String) {
    var digest = ContentDigest()
    digest.update(text)
    #expect(digest.hexadecimal() == expected)
    var pieces = ContentDigest()
    for scalar in text.unicodeScalars { pieces.update(String(scalar)) }
    #expect(pieces.hexadecimal() == expected)
  }

  @Test func aMillionLettersDigestAlikeInPieces() {
    var digest = ContentDigest()
    let block = String(repeating: "a", count: 1000)
    for _ in 0..<1000 { digest.update(block) }
    #expect(digest.hexadecimal() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func randomNumbersAreAFunctionOfSeedAndPlace() {
    var random = SeededRandom(seed: 42)
    let drawn = (0..<4).map { _ in random.next() }
    #expect(drawn == (0..<4).map { SeededRandom.value(seed: 42, index: $0) })
    // SplitMix64's first output for the seed 0, as published with the algorithm.
    #expect(SeededRandom.value(seed: 0, index: 0) == 0xE220_A839_7B1D_CDAF)
    let units = (0..<1000).map { _ in random.nextUnit() }
    #expect(units.allSatisfy { (0..<1).contains($0) })
    #expect(abs(units.reduce(0, +) / 1000 - 0.5) < 0.05)
  }
}
