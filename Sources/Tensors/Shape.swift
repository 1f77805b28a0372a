/// The extents of a tensor, outermost first (row-major).
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
  public let dimensions: [Int]

  public init(_ dimensions: [Int]) { self.dimensions = dimensions }
  public init(arrayLiteral elements: Int...) { dimensions = elements }

  public var rank: Int { dimensions.count }
  public subscript(index: Int) -> Int { dimensions[index] }

  /// The number of elements, 1 for a scalar; nil when it overflows or a dimension is negative.
  public var checkedElementCount: Int? {
    var count = 1
    for dimension in dimensions {
      guard dimension >= 0 else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow else { return nil }
      count = product
    }
    return count
  }

  /// The number of elements. Every `Tensor` has been checked, so it is defined for its shape.
  public var elementCount: Int { checkedElementCount ?? 0 }

  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
