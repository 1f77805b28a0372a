/// What the command line asks for.
struct Options {
  var m = 512
  var n = 4096
  var k = 4096
  var rounds = 5
  var threads = [1, 2]
  /// Weights of the products of one row, in MiB: more than the caches hold.
  var megabytes = 1024

  struct Unusable: Error, CustomStringConvertible {
    var description: String
  }

  init(_ arguments: [String]) throws(Unusable) {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard let text = rest.popFirst() else { throw Unusable(description: "\(name) needs a value") }
      let numbers = text.split(separator: ",").compactMap { Int($0) }.filter { (1...1 << 20).contains($0) }
      guard let number = numbers.first else { throw Unusable(description: "\(name) \(text): not a positive number") }
      switch name {
      case "--m": m = number
      case "--n": n = number
      case "--k": k = (number + 127) / 128 * 128  // whole groups of 128
      case "--rounds": rounds = number
      case "--threads": threads = numbers
      case "--stream-megabytes": megabytes = number
      default: throw Unusable(description: "\(name): no such option (--m --n --k --rounds --threads --stream-megabytes)")
      }
    }
  }
}
