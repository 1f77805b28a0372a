import ModelGraph
import StructuredData
import Tensors

extension ModelBundle {
  /// What the checkpoint holds beside the model's layers under names like theirs, as layers for predicting several tokens are: it would not fit
  /// one of other sizes.
  var strayLayers: [String] {
    let known = Set(graph.parameters.map(\.name))
    let prefixes = Set(
      graph.layerBlocks.compactMap { index in graph.blocks[index].name.lastIndex(of: ".").map { graph.blocks[index].name[...$0] } })
    return weights.names.filter { name in !known.contains(name) && prefixes.contains { name.hasPrefix($0) } }
  }
}

extension JSONObject {
  /// Without the layers for predicting several tokens.
  var withoutPredictionLayers: JSONObject {
    var result = self
    for key in ["num_nextn_predict_layers", "num_mtp_layers"] where self[key] != nil { result[key] = 0 }
    return result
  }
}
