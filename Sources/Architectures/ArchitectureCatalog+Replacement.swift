import ModelGraph
import StructuredData

extension ArchitectureCatalog {
  /// The key of config.json that holds what no key that other programs read says.
  public static let ownKey = ReplacedModules.key

  /// The configuration of a model some of whose modules were replaced: in the words of its family, or of another one that loaders know the same
  /// graph by, where these say it; else under `deepseek_optimize`, which this program reads.
  /// - Parameters:
  ///   - configuration: what the model was before.
  ///   - source: the model as that says it.
  ///   - graph: the model as it is now.
  /// - Returns: and what a user should know of programs that load it.
  public static func configuration(
    _ configuration: JSONValue, of source: ModelGraph, replacedAs graph: ModelGraph
  ) throws(GraphError) -> (json: JSONValue, caveats: [String]) {
    var object = configuration.object ?? [:]
    var caveats: [String] = []
    var own = object[ReplacedModules.key]?.object ?? [:]
    let activations = graph.activations
    if activations != source.activations, let activation = activations.first, activations.count == 1 {
      object["hidden_act"] = .string(ActivationName(activation).rawValue)
      if activation != .silu, graph.purpose == .languageModel {
        caveats.append(
          "hidden_act is \(ActivationName(activation).rawValue), which transformers reads; programs with fused kernels, such as vLLM and llama.cpp, have silu alone for this family"
        )
      }
    }
    let reaches = graph.reaches
    if reaches != source.reaches {
      let windows = AttentionWindows(layers: reaches.map { if case .window(let size) = $0 { size } else { nil } })
      let family = object["model_type"]?.string.flatMap { architecture(forModelType: $0) }
      let hasBlocks = reaches.contains { if case .blocks = $0 { true } else { false } }
      own["attention"] = nil
      if !hasBlocks, let said = family?.configuration(object, with: windows) {
        if let name = said["model_type"]?.string, name != object["model_type"]?.string {
          caveats.append("config.json names the model \(name): transformers knows the same graph with windows by that name")
        }
        object = said
      } else {
        object = family?.configuration(object, with: windows.without) ?? object
        var entries: [(reach: AttentionReach, layers: [Int])] = []
        for (layer, reach) in reaches.enumerated() where reach != .full {
          let place = entries.firstIndex { $0.reach == reach } ?? entries.count
          if place == entries.count { entries.append((reach, [])) }
          entries[place].layers.append(layer)
        }
        own["attention"] = .array(entries.map { $0.reach.configuration(layers: $0.layers) })
        caveats.append(
          "no key that other programs read says which tokens this attention sees (\(ReplacedModules.key) does): they will load the model and let every token see all before it"
        )
      }
    }
    let normalizations = graph.streamNormalizations
    if normalizations != source.streamNormalizations, normalizations.count == 1, let normalization = normalizations.first {
      own["normalization"] = nil
      if normalization != .rmsNorm {
        own["normalization"] = .string(normalization.rawValue)
        caveats.append(
          "no key that other programs read says that rows are normalised by \(normalization.rawValue) (\(ReplacedModules.key) does): they will not load the model as it is"
        )
      }
    }
    object[ReplacedModules.key] = nil
    if !own.isEmpty { object[ReplacedModules.key] = .object(own) }
    return (.object(object), caveats)
  }
}

extension ModelGraph {
  /// What MLPs are activated by.
  fileprivate var activations: Set<Activation> {
    Set(
      nodes.compactMap { node in
        switch node.operation {
        case .activation(let activation), .gatedActivation(let activation): activation
        default: nil
        }
      })
  }

  /// Which keys the attention of every layer sees, layer by layer.
  fileprivate var reaches: [AttentionReach] {
    nodes.compactMap { node in if case .attention(let attention) = node.operation { attention.reach } else { nil } }
  }
}

extension ActivationName {
  init(_ activation: Activation) {
    self =
      switch activation {
      case .silu: .silu
      case .geluTanh: .geluPytorchTanh
      case .geluErf: .gelu
      case .relu: .relu
      case .reluSquared: .relu2
      }
  }
}
