/// The extents of a tensor, outermost first (row-major).
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
  public let dimensions: [Int]

  public init(_ dimensions: [Int]) { self.dimensions = dimensions }
  public init(arrayLiteral elements: Int...) { dimensions = elements }

  public var rank: Int { dimensions.count }
  public subscript(index: Int) -> Int { dimensions[index] }

  /// The number of elements, 1 for a scalar; nil when it is more than any memory holds, or a dimension is negative.
  ///
  /// The dimensions beside a 0 are held to the same: a shape may stand in a file without a byte of data, and whoever rounds a dimension up to a
  /// group, or counts the bits of a row, must not overflow.
  public var checkedElementCount: Int? {
    var extent = 1
    var isEmpty = false
    for dimension in dimensions {
      guard dimension >= 0 else { return nil }
      if dimension == 0 { isEmpty = true }
      let (product, overflow) = extent.multipliedReportingOverflow(by: max(1, dimension))
      guard !overflow, product <= Self.greatestExtent else { return nil }
      extent = product
    }
    return isEmpty ? 0 : extent
  }

  /// Leaves room for the bits of an element, and for what rounds up to the next group, block or page.
  private static let greatestExtent = 1 << 56

  /// The number of elements. Every `Tensor` has been checked, so it is defined for its shape.
  public var elementCount: Int { checkedElementCount ?? 0 }

  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
