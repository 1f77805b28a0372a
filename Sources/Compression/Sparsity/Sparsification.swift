import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Sets the weights of linear layers that matter least to zero: a share of all, or two of every four that follow each other, as sparse tensor cores
/// take them. The checkpoint stays dense: compressed-tensors has no sparse layout any more (removed by 0.20).
public struct Sparsification: CompressionPass {
  public static let identifier = "sparsify"
  public static let contract = PassContract(establishes: [.zeroWeights], forbids: [.zeroWeights, .quantizedWeights])

  /// Where zeros may be.
  public enum Pattern: String, Codable, Sendable, Hashable, CaseIterable {
    case unstructured
    /// Two of every four inputs.
    case twoOfFour = "2:4"
    /// Four of every eight.
    case fourOfEight = "4:8"

    /// Inputs that follow each other, and how many of them stay; nil for no such rule.
    var group: (size: Int, kept: Int)? {
      switch self {
      case .unstructured: nil
      case .twoOfFour: (4, 2)
      case .fourOfEight: (8, 4)
      }
    }
  }

  public enum Method: String, Codable, Sendable, Hashable, CaseIterable {
    /// The smallest magnitudes.
    case magnitude
    /// The smallest magnitudes times the root mean square of what they read, row by row (Sun et al. 2023). Needs text.
    case wanda
    /// Those whose loss, made up for by the weights behind them, costs least; and makes up for it (Frantar & Alistarh 2023). Needs text.
    case sparsegpt
  }

  public var method = Method.wanda
  public var pattern = Pattern.unstructured
  /// The share of the weights of every layer that becomes zero, where the pattern does not say it.
  public var sparsity = 0.5
  /// Layers that stay as they are, beside the head.
  public var ignore: [ModulePattern] = []

  public init() {}

  public init(method: Method, pattern: Pattern = .unstructured, sparsity: Double = 0.5) {
    (self.method, self.pattern, self.sparsity) = (method, pattern, sparsity)
  }

  public var needs: Set<PassNeed> { method == .magnitude ? [] : [.calibration] }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    guard sparsity.isFinite, (0.01...0.99).contains(sparsity) else {
      throw CompressionError(
        "\(Self.identifier): sparsity", "\(sparsity) is not from 0.01 to 0.99", remedy: "0.5 is usual", kind: .badConfiguration)
    }
    guard try !layers(of: graph).isEmpty else {
      throw CompressionError("\(Self.identifier)", "has no layer to work on", remedy: "ignore fewer", kind: .badConfiguration)
    }
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    SparsificationWorker(pass: self, layers: try layers(of: graph))
  }

  /// The weights that it works on.
  private func layers(of graph: ModelGraph) throws(CompressionError) -> Set<ParameterID> {
    var matchers: [(String) -> Bool] = []
    for pattern in ignore { matchers.append(try pattern.matcher()) }
    var found = Set<ParameterID>()
    for block in graph.blocks where block.kind != .head {
      for (node, weight) in graph.linears(of: block) where !matchers.contains(where: { $0(node.scope) }) { found.insert(weight) }
    }
    return found
  }
}
