import Tensors

/// Text as hasty fingers leave it: in some of the words two letters change places, one is left out, doubled, or replaced by its neighbour on
/// the keyboard. What happens depends on the seed and the word's place.
package struct TypingErrors {
  /// The share of words of four letters and more that get an error.
  package var rate: Double
  package var seed: UInt64

  package init(rate: Double = 0.15, seed: UInt64) { (self.rate, self.seed) = (rate, seed) }

  private static let shortest = 4
  private static let rows: [[Character]] = [Array("qwertyuiop"), Array("asdfghjkl"), Array("zxcvbnm")]

  package func applied(to text: String) -> String {
    var random = SeededRandom(seed: seed)
    var result = ""
    result.reserveCapacity(text.utf8.count)
    var word: [Character] = []
    func close() {
      if word.count >= Self.shortest, random.nextUnit() < rate { spoil(&word, &random) }
      result.append(contentsOf: word)
      word.removeAll(keepingCapacity: true)
    }
    for character in text {
      if character.isLetter {
        word.append(character)
      } else {
        close()
        result.append(character)
      }
    }
    close()
    return result
  }

  /// The first letter stays: it is the one that is rarely wrong.
  private func spoil(_ word: inout [Character], _ random: inout SeededRandom) {
    let place = 1 + Int(random.nextUnit() * Double(word.count - 2))
    switch Int(random.nextUnit() * 4) {
    case 0: word.swapAt(place, place + 1)
    case 1: word.remove(at: place)
    case 2: word.insert(word[place], at: place)
    default:
      guard let row = Self.rows.first(where: { $0.contains(word[place]) }), let index = row.firstIndex(of: word[place]) else {
        word.swapAt(place, place + 1)
        return
      }
      let step = random.nextUnit() < 0.5 ? -1 : 1
      word[place] = row[row.indices.contains(index + step) ? index + step : index - step]
    }
  }
}
