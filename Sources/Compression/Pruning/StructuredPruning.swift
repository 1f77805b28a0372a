import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Structured pruning: channels of MLPs, heads of attentions and features of the residual stream that matter least are removed with everything that
/// belongs to them, so that a smaller dense model is left.
public struct StructuredPruning: RecipePass {
  public static let identifier = "prune"
  public static let contract = PassContract(
    establishes: [.prunedChannels], forbids: [.quantizedWeights, .adapters, .zeroWeights, .smoothedFeatures, .rotatedFeatures])

  /// The share of the channels of every MLP that goes.
  public var mlp = 0.0
  /// The share of the key and value heads that goes, each with the query heads that share it.
  public var heads = 0.0
  /// The share of the width of the residual stream that goes.
  public var hidden = 0.0
  /// The share of the latents that queries, keys and values are made of: the ranks of multi-head latent attention.
  public var ranks = 0.0
  /// The share of the experts of every layer that goes; of every group as many.
  public var experts = 0.0
  /// How many layers go: those that change least what passes through them. Needs text.
  public var layers = 0
  /// The most parameters that are left: then the same share of MLP channels and of heads goes, the least that suffices; 0 for no such limit.
  public var targetParameters = 0
  /// What channels are judged by.
  public var importance = ChannelImportance.l1
  /// What the channels that stay are a multiple of; heads are whole in any case.
  public var multiple = 64

  public init() {}

  public init(
    mlp: Double = 0, heads: Double = 0, hidden: Double = 0, layers: Int = 0, importance: ChannelImportance = .l1, multiple: Int = 64
  ) {
    (self.mlp, self.heads, self.hidden, self.layers) = (mlp, heads, hidden, layers)
    (self.importance, self.multiple) = (importance, multiple)
  }

  private enum CodingKeys: String, CodingKey {
    case mlp, heads, hidden, ranks, experts, layers, importance, multiple
    case targetParameters = "target-parameters"
  }

  /// The same with shares in place of a number of parameters that are left.
  public func resolved(for graph: ModelGraph) throws -> StructuredPruning {
    guard targetParameters > 0 else { return self }
    var resolved = self
    resolved.targetParameters = 0
    /// Of a share in thousandths.
    func count(_ share: Int) throws -> Int {
      (resolved.mlp, resolved.heads) = (Double(share) / 1000, Double(share) / 1000)
      return try resolved.resized(graph).parameterCount
    }
    guard targetParameters < graph.parameterCount else {
      throw CompressionError(
        "\(Self.identifier): target-parameters", "\(targetParameters) is no less than the \(graph.parameterCount) that there are",
        remedy: "give fewer", kind: .usage)
    }
    var (low, high) = (0, 990)
    let least = try count(high)
    guard least <= targetParameters else {
      throw CompressionError(
        "\(Self.identifier): target-parameters", "\(targetParameters) cannot be reached: \(least) parameters are left at least",
        remedy: "allow more, or remove --layers or --hidden as well", kind: .usage)
    }
    while low < high {
      let middle = (low + high) / 2
      if try count(middle) <= targetParameters { high = middle } else { low = middle + 1 }
    }
    _ = try count(low)
    return resolved
  }

  /// The share that goes of a kind of dimension.
  public func ratio(of kind: ChannelDimension.Kind) -> Double {
    switch kind {
    case .mlp: mlp
    case .heads: heads
    case .hidden: hidden
    case .latent: ranks
    }
  }

  /// How many units of a dimension stay: the multiple nearest to what the ratio says, at least one.
  public func kept(of dimension: ChannelDimension) -> Int {
    let wanted = Double(dimension.units) * (1 - ratio(of: dimension.kind))
    guard ratio(of: dimension.kind) > 0 else { return dimension.units }
    // Half a head is none; a dimension that is no multiple itself knows none.
    let step = dimension.kind == .heads || multiple > dimension.units / 2 ? 1 : multiple
    let count = Int((wanted / Double(step)).rounded()) * step
    return min(dimension.units, max(step, count))
  }

  /// Nothing at all is left out.
  private var isEmpty: Bool {
    mlp <= 0 && heads <= 0 && hidden <= 0 && ranks <= 0 && experts <= 0 && layers <= 0 && targetParameters <= 0
  }

  public var mistake: OptionMistake? {
    guard isEmpty else { return nil }
    return OptionMistake("", "removes nothing", remedy: "give mlp, heads, hidden, ranks, experts, layers or target-parameters")
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    func check(_ holds: Bool, _ option: String, _ problem: String, _ remedy: String = "") throws(CompressionError) {
      guard holds else { throw CompressionError("\(Self.identifier): \(option)", problem, remedy: remedy, kind: .usage) }
    }
    for kind in ChannelDimension.Kind.allCases {
      let ratio = ratio(of: kind)
      try check(ratio.isFinite && (0..<1).contains(ratio), kind.rawValue, "\(ratio) is not a share from 0 to below 1")
    }
    try check(
      hidden == 0 || importance.judgesHidden, "importance", "\(importance.rawValue) says nothing of the width of the residual stream",
      "use l1, l2 or taylor, or leave --hidden out")
    try check((1...65_536).contains(multiple), "multiple", "\(multiple) is not from 1 to 65536")
    let most = graph.layerBlocks.count - 1
    try check((0...max(0, most)).contains(layers), "layers", "\(layers) is not from 0 to \(most)", "leave one layer at least")
    try check(
      targetParameters >= 0 && (targetParameters == 0 || mlp == 0 && heads == 0), "target-parameters",
      "says how many go, and mlp or heads do, too", "give one of them")
    try check(
      !isEmpty, "ratio", "removes nothing",
      "give --ratio, --mlp, --heads, --hidden, --ranks, --experts, --layers or --target-parameters")
    try check(experts.isFinite && (0..<1).contains(experts), "experts", "\(experts) is not a share from 0 to below 1")
    try check(experts == 0 || !graph.routers.isEmpty, "experts", "cannot go: the model has none", "leave --experts out")
    try check(
      ranks == 0 || graph.parameters.contains { $0.role == .latentNormGain }, "ranks", "cannot go: the model has no latent attention",
      "leave --ranks out")
    if let parameter = graph.parameters.first(where: \.isQuantized) {
      throw CompressionError(
        parameter.name, "is quantized: its channels cannot be removed", remedy: "start from the unquantized model", kind: .usage)
    }
  }

  /// What becomes of every dimension, known without reading a weight.
  public func sizes(of graph: ModelGraph) throws -> [(dimension: ChannelDimension, kept: Int)] {
    let dimensions = try graph.channelDimensions()
    /// The channels of the experts of a block that tokens are sent to.
    var routed: [Int: ChannelDimension] = [:]
    for dimension in dimensions where dimension.kind == .mlp && graph.isMade(dimension, of: \.isRoutedExpert) {
      if let block = dimension.block { routed[block] = dimension }
    }
    return dimensions.map { dimension in
      // Experts that all tokens share are as wide as several of the others together, and stay so.
      if let block = dimension.block, let one = routed[block], graph.isMade(dimension, of: \.isSharedExpert), dimension.kind == .mlp,
        dimension.units % one.units == 0
      {
        return (dimension, kept(of: one) * (dimension.units / one.units))
      }
      return (dimension, kept(of: dimension))
    }.filter { $0.1 < $0.0.units }
  }

  /// The units of a dimension that stay.
  func units(
    of dimension: ChannelDimension, keeping count: Int, in graph: ModelGraph, given: TaylorScores?, pool: ThreadPool
  ) throws -> [Int] {
    if importance == .taylor {
      guard let scores = given?.scores(of: dimension) else {
        throw CompressionError("\(Self.identifier): importance", "taylor needs text", remedy: "give --calibration FILE", kind: .usage)
      }
      return Self.largest(count, of: try importance.requireFinite(scores, of: dimension, in: graph))
    }
    return Self.largest(count, of: try importance.scores(of: dimension, in: graph, pool: pool))
  }

  /// The model without the features of the residual stream that go; the dimensions of single blocks are left to ``prune(_:of:of:calibration:pool:)``.
  package func withoutHidden(_ graph: ModelGraph, given: TaylorScores? = nil, pool: ThreadPool) throws -> ModelGraph {
    let kept = try sizes(of: graph).filter { $0.dimension.block == nil }
      .map { (dimension: $0.dimension, units: try units(of: $0.dimension, keeping: $0.kept, in: graph, given: given, pool: pool)) }
    return kept.isEmpty ? graph : try graph.keeping(kept) { SlicedWeights($0) }
  }

  /// What became of one dimension of a block.
  package struct Outcome {
    package let dimension: ChannelDimension
    package let kept: Int
    /// The squared error of the outputs of the layers that read it over their square, before and after the repair; nil without one.
    package let errors: (before: Double, after: Double)?
  }

  /// Text, where it looks at activations.
  public var needs: Set<PassNeed> { needsText ? [.calibration] : [] }

  /// Whether it looks at activations.
  public var needsText: Bool { layers > 0 || importance.needsText || experts > 0 && importance != .l1 && importance != .l2 }

  /// The model without the layers of least influence.
  /// - Returns: and these, by their blocks.
  package func withoutLayers(_ graph: ModelGraph, influences: [Int: Double]) throws -> (graph: ModelGraph, removed: Set<Int>) {
    // Where nothing is known the last ones stand for those that will go: the first may be of another kind.
    let order =
      influences.isEmpty
      ? graph.layerBlocks.reversed()
      : graph.layerBlocks.sorted { (influences[$0] ?? .infinity, $0) < (influences[$1] ?? .infinity, $1) }
    let removed = Set(order.prefix(layers))
    return removed.isEmpty ? (graph, []) : (try graph.removingLayers(removed) { RenamedWeights($0) }, removed)
  }

  /// What goes at a time, in this order: what is repaired later is repaired for what enters it then.
  private static let phases: [ChannelDimension.Kind] = [.heads, .latent, .mlp]

  /// Removes what goes of a block.
  /// - Parameters:
  ///   - given: scores that were found before, for the importance that is about them.
  ///   - calibration: gives what text sends through the block as it is in a graph; nil to repair nothing.
  package func prune(
    _ index: Int, of graph: inout ModelGraph, given: TaylorScores? = nil, calibration: () -> BlockCalibration?, pool: ThreadPool
  ) throws -> [Outcome] {
    var outcomes: [Outcome] = []
    let sizes = try sizes(of: graph).filter { $0.dimension.block == index }
    for phase in Self.phases {
      let going = sizes.filter { $0.dimension.kind == phase }
      guard !going.isEmpty else { continue }
      let seen = calibration()
      var kept: [(dimension: ChannelDimension, units: [Int])] = []
      var repaired: [[ParameterID: ChannelRepair.Outcome]] = []
      for (dimension, count) in going {
        let units: [Int]
        if importance.needsText, importance != .taylor {
          guard let seen else {
            throw CompressionError(
              "\(Self.identifier): importance", "\(importance.rawValue) needs text", remedy: "give --calibration FILE", kind: .usage)
          }
          units = Self.largest(count, of: try importance.scores(of: dimension, in: graph, seen))
        } else {
          units = try self.units(of: dimension, keeping: count, in: graph, given: given, pool: pool)
        }
        kept.append((dimension, units))
        repaired.append(try seen.map { try repairs(dimension, keeping: units, in: graph, $0, pool) } ?? [:])
      }
      graph = try graph.keeping(kept) { SlicedWeights($0) }
      for ((dimension, units), repairs) in zip(kept, repaired) {
        var errors: (before: Double, after: Double)?
        for (id, outcome) in repairs {
          try graph.replace(id, with: .dense(outcome.weight.tensor(graph[id].shape)))
          errors = (max(errors?.before ?? 0, outcome.errorBefore), max(errors?.after ?? 0, outcome.errorAfter))
        }
        outcomes.append(Outcome(dimension: dimension, kept: units.count, errors: errors))
      }
    }
    return outcomes
  }

  /// The weights of the layers that read the dimension, made up for what they lose.
  private func repairs(
    _ dimension: ChannelDimension, keeping units: [Int], in graph: ModelGraph, _ calibration: BlockCalibration, _ pool: ThreadPool
  ) throws -> [ParameterID: ChannelRepair.Outcome] {
    let statistics = try calibration.statistics(.gram, in: graph)
    var result: [ParameterID: ChannelRepair.Outcome] = [:]
    for member in dimension.members where member.axis == 1 {
      guard let node = graph.linears(of: calibration.block).first(where: { $0.weight == member.parameter })?.node,
        let gram = try statistics[node.inputs[0]]?.gram(pool: pool)
      else { continue }
      let features = member.features(of: units)
      var outcome = try ChannelRepair.repair(
        Matrix(graph[member.parameter]), gram: gram.symmetric(pool: pool), keeping: features, pool: pool)
      if let share = try keptPower(of: node.inputs[0], features, statistics[node.inputs[0]], in: graph) {
        outcome = outcome?.scaled(by: Float(share.squareRoot()))
      }
      // What the type of the checkpoint does not hold is no repair: the weight stays plainly cut, and a warning says so.
      let type = graph[member.parameter].nativeType ?? .float32
      guard let found = outcome, found.weight.tensor([found.weight.rows, found.weight.columns]).converted(to: type)?.notFiniteCount == 0
      else { continue }
      result[member.parameter] = found
    }
    return result
  }

  /// By how much the mean square of what a norm divides by differs when it sees some features only: what is left of them comes out as much larger
  /// or smaller. Nil for what no norm gives.
  private func keptPower(
    of value: ValueID, _ features: [Int], _ statistics: InputStatistics?, in graph: ModelGraph
  ) throws -> Double? {
    guard let node = graph.producer(of: value), case .rmsNorm(_, let width) = node.operation, width == graph[value].width,
      let gain = node.parameters.first, let squares = statistics?.meanSquare,
      let gains = try graph[gain].load().float32()?.float32Values(), gains.count == squares.count
    else { return nil }
    let powers = features.filter { gains[$0] != 0 }.map { Double(squares[$0]) / (Double(gains[$0]) * Double(gains[$0])) }
    let share = powers.reduce(0, +) / Double(max(1, features.count))
    return share.isFinite && share > 0 ? share : nil
  }

  /// The places of the largest scores, rising; of equal ones the first.
  static func largest(_ count: Int, of scores: [Double]) -> [Int] {
    scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(count).sorted()
  }
}

extension ModelGraph {
  /// Whether matrices of a kind lie along a dimension.
  fileprivate func isMade(_ dimension: ChannelDimension, of kind: KeyPath<ParameterRole, Bool>) -> Bool {
    dimension.members.contains { self[$0.parameter].role[keyPath: kind] }
  }
}
