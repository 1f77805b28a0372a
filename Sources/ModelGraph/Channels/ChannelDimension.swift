/// A dimension of a model: everything along which features stand or fall together. The channels of an MLP are one (rows of gate and up,
/// columns of down), the heads of an attention another, the width of the residual stream a third.
///
/// A dimension has `units` that can be removed one by one; an axis holds each of them as `unitWidth` features that follow each other.
public struct ChannelDimension: Sendable, Hashable {
  /// What its units are.
  public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    /// Features of the residual stream.
    case hidden
    /// Channels between two linear layers of an MLP.
    case mlp
    /// Key and value heads with the query heads that share them.
    case heads
    /// Features of a latent that queries, or keys and values, are made of: the rank of a projection in two steps.
    case latent
  }

  /// One axis of a parameter that belongs to the dimension.
  public struct Member: Sendable, Hashable {
    public let parameter: ParameterID
    /// 0 for the rows of a matrix or a vector, 1 for the columns.
    public let axis: Int
    /// Features of one unit.
    public let unitWidth: Int
    /// Features of the axis in front of the first unit, which are another dimension's.
    public var start = 0

    /// The features of some units along the axis.
    package func features(of units: [Int]) -> [Int] {
      units.flatMap { start + $0 * unitWidth..<start + ($0 + 1) * unitWidth }
    }

    /// The unit that a feature of the axis belongs to; nil for what is another dimension's.
    package func unit(of feature: Int, among units: Int) -> Int? {
      let unit = (feature - start) / unitWidth
      return feature >= start && unit < units ? unit : nil
    }
  }

  public let kind: Kind
  /// The block that holds all of it; nil when it runs through the model.
  public let block: Int?
  public let units: Int
  /// In the order of parameters; a parameter that lies along the dimension with both axes is there twice.
  public let members: [Member]
  /// Values that have it as features.
  let values: [ValueID: Extent]

  /// Where a value has the features of a dimension.
  struct Extent: Sendable, Hashable {
    /// Features of one unit.
    let unitWidth: Int
    /// Features in front of the first unit, which are another dimension's.
    let start: Int
  }
}
