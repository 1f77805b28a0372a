import Diagnostics
import Foundation
import StructuredData

extension AdapterConfiguration {
  /// Reads mlx-lm's `adapter_config.json`, which holds all settings of the training run besides.
  init(mlx settings: AdapterSettings) throws(CheckpointError) {
    var settings = settings
    let method = try settings.text("fine_tune_type") ?? "lora"
    guard method == "lora" || method == "dora" else {
      throw settings.malformed(
        "fine_tune_type", "is \"\(CheckpointError.shortened(method))\", which is no low-rank adapter",
        remedy: "fuse it into its model with mlx_lm.fuse")
    }
    guard let object = settings.take("lora_parameters")?.object else {
      throw settings.malformed(
        "lora_parameters", "is missing: rank and scale are unknown", remedy: "write {\"rank\": …, \"scale\": …, \"dropout\": …}")
    }
    var parameters = AdapterSettings(file: settings.file, prefix: "lora_parameters.", object)
    guard let rank = try parameters.rank("rank") else { throw parameters.malformed("rank", "is missing", remedy: "write the rank") }
    guard let scale = try parameters.factor("scale") else {
      throw parameters.malformed("scale", "is missing", remedy: "write the scale; where \"alpha\" was meant, it is alpha / rank")
    }
    guard let layerCount = settings.take("num_layers")?.integer else {
      throw settings.malformed("num_layers", "is missing or no number", remedy: "write how many blocks were adapted")
    }
    let keys = try parameters.names("keys")
    origin = .mlx
    self.rank = rank
    isRankStabilized = false
    isWeightDecomposed = method == "dora"
    targets = AdapterTargets(modules: keys.map(AdapterTargets.Modules.names) ?? .allLinear, lastLayerCount: layerCount)
    rankOverrides = []
    alphaOverrides = []
    baseModel = try settings.text("model")
    dropout = try parameters.number("dropout") ?? 0
    taskType = nil
    bias = "none"
    otherKeys = settings.rest
    alpha = 0
    alpha = alpha(givingScaling: scale, rank: rank)
  }
}
