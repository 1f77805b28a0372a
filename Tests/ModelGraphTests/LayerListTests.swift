import ModelGraph
import Testing

@Suite struct LayerListTests {
  @Test func numbersAndRangesAreRead() {
    #expect(LayerList.parse("0-3,5", below: 6) == [0, 1, 2, 3, 5])
    #expect(LayerList.parse("5, 0 - 1, 0", below: 6) == [0, 1, 5])
    #expect(LayerList.text([0, 1, 2, 4, 6, 7]) == "0-2, 4, 6-7")
  }

  @Test(arguments: ["", ",", "6", "0-6", "3-1", "-1", "a", "1-2-3", "0,,1", "1-", "99999999999999999999"])
  func otherTextIsNot(_ text: String) { #expect(LayerList.parse(text, below: 6) == nil) }
}
