import Diagnostics

/// The heads of latent attention's `kv_b_proj`: of each, first the rows that make its keys, then those that make its values.
public struct GGUFLatentHeads: Sendable, Hashable {
  public let heads: Int
  /// Rows of a head that make keys: `qk_nope_head_dim`.
  public let keyRows: Int
  /// Rows of a head that make values: `v_head_dim`.
  public let valueRows: Int

  /// All rows of the parameter; nil when there are too many to count.
  var rows: Int? {
    let (perHead, first) = keyRows.addingReportingOverflow(valueRows)
    let (all, second) = perHead.multipliedReportingOverflow(by: heads)
    return first || second ? nil : all
  }
}

/// How a parameter of the model lies in a tensor of a GGUF file.
///
/// Shapes are outermost axis first, the reverse of the file's order. A row runs along the innermost axis; the rows of a tensor of three axes are
/// counted through. Except where `transposesHeads`, rows stay whole, so that they may be rows of numbers or of quantized blocks.
public enum GGUFTransform: Sendable, Hashable {
  /// Row by row as in the model.
  case asItIs
  /// Features of a head that turn together lie half a head apart in the model, and side by side in the file. A bias counts as rows of one.
  case rotaryPermutation(heads: Int)
  /// One of the matrices that the tensor stacks along an outermost axis of its own: an expert.
  case slice(index: Int, of: Int)
  /// The keys' part of `kv_b_proj`, each head transposed: `[heads, latent, keyRows]`.
  case latentKeys(GGUFLatentHeads)
  /// The values' part of `kv_b_proj`: `[heads, valueRows, latent]`.
  case latentValues(GGUFLatentHeads)
}

extension GGUFTransform {
  /// Whether each head's matrix, after its rows were taken, is transposed: the one case where rows of the model are no rows of the file.
  public var transposesHeads: Bool { if case .latentKeys = self { true } else { false } }

  /// The tensor's shape, for a parameter of this shape.
  public func tensorShape(of parameter: [Int]) throws(CheckpointError) -> [Int] {
    switch self {
    case .asItIs: return parameter
    case .rotaryPermutation(let heads):
      try checkHeads(heads, parameter)
      return parameter
    case .slice(_, let count): return [count] + parameter
    case .latentKeys(let latent):
      try check(parameter.count == 2 && parameter[0] == latent.rows, parameter)
      return [latent.heads, parameter[1], latent.keyRows]
    case .latentValues(let latent):
      try check(parameter.count == 2 && parameter[0] == latent.rows, parameter)
      return [latent.heads, latent.valueRows, parameter[1]]
    }
  }

  /// The parameter's shape, for a tensor of this shape: the inverse of `tensorShape(of:)`.
  public func parameterShape(of tensor: [Int]) throws(CheckpointError) -> [Int] {
    switch self {
    case .asItIs: return tensor
    case .rotaryPermutation(let heads):
      try checkHeads(heads, tensor)
      return tensor
    case .slice(let index, let count):
      try check(tensor.count > 1 && tensor[0] == count && (0..<count).contains(index), tensor)
      return Array(tensor.dropFirst())
    case .latentKeys(let latent):
      try check(tensor.count == 3 && tensor[0] == latent.heads && tensor[2] == latent.keyRows, tensor)
      return [try rows(latent, tensor), tensor[1]]
    case .latentValues(let latent):
      try check(tensor.count == 3 && tensor[0] == latent.heads && tensor[1] == latent.valueRows, tensor)
      return [try rows(latent, tensor), tensor[2]]
    }
  }

  /// Rows of the parameter in the order in which the tensor has them: row `i` of the tensor, or of the slice of it, is row `forward[i]` of the
  /// parameter. For `latentKeys` it is row `i` of the tensor with its heads transposed back, `[heads · keyRows, latent]`.
  /// - Parameter rows: of the parameter; elements, when it is a bias.
  public func forward(rows: Int) throws(CheckpointError) -> [Int] {
    switch self {
    case .asItIs, .slice: return Array(0..<max(rows, 0))
    case .rotaryPermutation(let heads):
      try checkHeads(heads, [rows])
      let (width, half) = (rows / heads, rows / heads / 2)
      return (0..<rows).map { row in
        let feature = row % width
        return row - feature + feature % 2 * half + feature / 2
      }
    case .latentKeys(let latent):
      try check(rows == latent.rows, [rows])
      return (0..<latent.heads).flatMap { head in (0..<latent.keyRows).map { head * (latent.keyRows + latent.valueRows) + $0 } }
    case .latentValues(let latent):
      try check(rows == latent.rows, [rows])
      return (0..<latent.heads).flatMap { head in
        (0..<latent.valueRows).map { head * (latent.keyRows + latent.valueRows) + latent.keyRows + $0 }
      }
    }
  }

  /// Where the tensor has each row of the parameter; nil for rows that another tensor holds.
  public func inverse(rows: Int) throws(CheckpointError) -> [Int?] {
    var places = [Int?](repeating: nil, count: max(rows, 0))
    for (place, row) in try forward(rows: rows).enumerated() { places[row] = place }
    return places
  }

  private func rows(_ latent: GGUFLatentHeads, _ shape: [Int]) throws(CheckpointError) -> Int {
    guard let rows = latent.rows else { throw mismatch(shape) }
    return rows
  }

  private func checkHeads(_ heads: Int, _ shape: [Int]) throws(CheckpointError) {
    guard heads > 0, let rows = shape.first, rows >= 0, rows % heads == 0, rows / heads % 2 == 0 else { throw mismatch(shape) }
  }

  private func check(_ condition: Bool, _ shape: [Int]) throws(CheckpointError) {
    guard condition else { throw mismatch(shape) }
  }

  private func mismatch(_ shape: [Int]) -> CheckpointError {
    let needed =
      switch self {
      case .asItIs: "any shape"
      case .rotaryPermutation(let heads): "\(heads) heads of an even number of rows"
      case .slice(_, let count): "\(count) slices"
      case .latentKeys(let latent), .latentValues(let latent):
        "\(latent.heads) heads of \(latent.keyRows) rows for keys and \(latent.valueRows) for values"
      }
    return CheckpointError(
      kind: .badData, subject: "a tensor of shape \(shape)", problem: "does not hold \(needed)", remedy: "fetch or convert the model again")
  }
}
