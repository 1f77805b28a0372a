import Execution
import ModelGraph
import Tensors

/// What stands between the variables that an optimizer changes and the parameters that a model computes with: nothing, an adapter, rounding.
public protocol Parametrization: AnyObject {
  /// In a fixed order.
  var variables: [Variable] { get }
  /// What the model computes with, in place of its own values. The matrices stay the same ones throughout.
  var values: [ParameterID: Matrix] { get }
  /// The parameters whose gradients `gradients(from:pool:)` needs.
  var wanted: Set<ParameterID> { get }
  /// Brings ``values`` up to date with the variables.
  func update(pool: ThreadPool) throws
  /// Gradients of the variables, in their order, from those of the parameters; nil where there is none.
  func gradients(from parameters: [ParameterID: Matrix], pool: ThreadPool) throws -> [Matrix?]
}

/// Parameters that are trained as they are.
public final class DirectParameters: Parametrization {
  public let variables: [Variable]
  public let values: [ParameterID: Matrix]
  private let ids: [ParameterID]
  public var wanted: Set<ParameterID> { Set(ids) }

  /// - Parameter ids: each of them is copied to float32.
  public init(_ ids: [ParameterID], of graph: ModelGraph) throws {
    self.ids = ids
    variables = try ids.map { id in
      // Gains and biases do not decay: they have no scale that a norm behind them would undo.
      Variable(graph[id].name, try Matrix(graph[id]), decays: graph[id].shape.rank > 1)
    }
    values = Dictionary(uniqueKeysWithValues: zip(ids, variables.map(\.values)))
  }

  public func update(pool: ThreadPool) {}

  public func gradients(from parameters: [ParameterID: Matrix], pool: ThreadPool) -> [Matrix?] { ids.map { parameters[$0] } }
}
