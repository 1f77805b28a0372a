/// What a layer has of one kind of module.
public struct ModuleDescription: Sendable, Hashable {
  /// `attention`, `normalization`, `activation` or `experts`.
  public let kind: String
  /// `sliding window 256 in layers 0-2, 4-6; global in 3, 7`.
  public let text: String

  public init(kind: String, text: String) { (self.kind, self.text) = (kind, text) }
}

extension ModelGraph {
  /// The number of a block's layer; nil for embedding and head.
  static func layer(_ block: Block) -> Int? { if case .layer(let index) = block.kind { index } else { nil } }

  /// What the layers are made of where models differ: which keys attention sees, how rows are normalised, what MLPs are activated by, and how many
  /// experts there are.
  public var modules: [ModuleDescription] {
    var found: [(kind: String, layers: [(text: String, layers: [Int])])] = []
    func note(_ kind: String, _ text: String, _ layer: Int) {
      let place = found.firstIndex { $0.kind == kind } ?? found.count
      if place == found.count { found.append((kind, [])) }
      let entry = found[place].layers.firstIndex { $0.text == text } ?? found[place].layers.count
      if entry == found[place].layers.count { found[place].layers.append((text, [])) }
      if found[place].layers[entry].layers.last != layer { found[place].layers[entry].layers.append(layer) }
    }
    for block in blocks {
      guard let layer = Self.layer(block) else { continue }
      for node in nodes[block.nodes] {
        switch node.operation {
        case .attention(let attention): note("attention", attention.isCausal ? attention.reach.text : "whole sequences", layer)
        case .rmsNorm(_, let width) where width == self[node.output].width && isNormOfStream(node):
          note("normalization", node.operation.name, layer)
        case .layerNorm, .dynamicTanh: note("normalization", node.operation.name, layer)
        case .activation(let activation), .gatedActivation(let activation): note("activation", activation.rawValue, layer)
        case .route(let routing): note("experts", "\(routing.selected) of \(routing.experts)", layer)
        default: break
        }
      }
    }
    let layerCount = blocks.count { Self.layer($0) != nil }
    return found.map { kind, entries in
      let isUniform = entries.count == 1 && entries[0].layers.count == layerCount
      let text =
        isUniform
        ? "\(entries[0].text) in all layers"
        : entries.enumerated().map { "\($1.text) in \($0 == 0 ? "layers " : "")\(LayerList.text($1.layers))" }.joined(separator: "; ")
      return ModuleDescription(kind: kind, text: text)
    }
  }

  /// Whether a norm is one of whole rows of the residual stream, rather than of heads or latents.
  func isNormOfStream(_ node: Node) -> Bool { node.parameters.first.map { self[$0].role == .normGain } ?? false }

  /// How rows of a decoder's residual stream are normalised.
  public var streamNormalizations: Set<StreamNormalization> {
    guard purpose == .languageModel else { return [] }
    return Set(
      nodes.compactMap { node in
        switch node.operation {
        case .rmsNorm: isNormOfStream(node) ? .rmsNorm : nil
        case .layerNorm: .layerNorm
        case .dynamicTanh: .dynamicTanh
        default: nil
        }
      })
  }

  /// The model with other operations in place of some; parameters and shapes stay.
  /// - Parameter change: by the number of the layer, nil outside of layers.
  package func replacingOperations(_ change: (_ layer: Int?, _ operation: Operation) -> Operation) throws(GraphError) -> ModelGraph {
    var result = self
    for block in blocks {
      for index in block.nodes {
        let node = nodes[index]
        result.nodes[index] = Node(
          operation: change(Self.layer(block), node.operation), inputs: node.inputs, output: node.output, parameters: node.parameters,
          scope: node.scope)
      }
    }
    try result.verify()
    return result
  }
}
