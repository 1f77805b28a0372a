import Execution
import ModelGraph
import Tensors

/// The factors of adapters, and their magnitudes: all that low-rank adaptation trains. The model's own parameters stay as they are.
public final class AdapterParameters: Parametrization {
  public let variables: [Variable]
  public let values: [ParameterID: Matrix]
  public let wanted: Set<ParameterID>
  private let ids: [ParameterID]
  /// Rows whose lengths change with the factors.
  private var normed: [(weight: AdaptedWeight, norms: Matrix)] = []

  /// - Parameter upRate: how many times faster than A the factor B learns (LoRA+, Hayou et al. 2024).
  public init(_ adapters: [AttachedAdapter], of graph: ModelGraph, upRate: Float = 1) throws {
    var (variables, values, ids): ([Variable], [ParameterID: Matrix], [ParameterID]) = ([], [:], [])
    func add(_ id: ParameterID, rate: Float = 1, decays: Bool = true) throws -> Matrix {
      let matrix = try Matrix(graph[id])
      variables.append(Variable(graph[id].name, matrix, decays: decays, rate: rate))
      ids.append(id)
      values[id] = matrix
      return matrix
    }
    for adapter in adapters {
      let (down, up) = (try add(adapter.down), try add(adapter.up, rate: upRate))
      guard let magnitude = adapter.magnitude, let norm = adapter.norm else { continue }
      _ = try add(magnitude, decays: false)
      let norms = Matrix(rows: 1, columns: up.rows)
      values[norm] = norms
      normed.append((try AdaptedWeight(graph[adapter.weight], down: down, up: up, scaling: adapter.scaling), norms))
    }
    (self.variables, self.values, self.ids, wanted) = (variables, values, ids, Set(ids))
  }

  public func update(pool: ThreadPool) { for (weight, norms) in normed { weight.norms(into: norms, pool: pool) } }

  public func gradients(from parameters: [ParameterID: Matrix], pool: ThreadPool) -> [Matrix?] { ids.map { parameters[$0] } }
}
