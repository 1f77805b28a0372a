import Diagnostics
import StructuredData

/// `quantization` of an MLX model's config.json: the settings of most layers, and by the paths of layers what differs, or `false` for those
/// that are not quantized.
public struct MLXConfiguration: Sendable {
  let general: MLXSettings?
  /// By path; nil stands for `false`.
  let layers: NameTable<MLXSettings?>

  /// Whether a config.json speaks of MLX's quantization.
  static func settings(in configuration: JSONValue) -> JSONValue? {
    for key in ["quantization", "quantization_config"] {
      guard let settings = configuration[key], settings.object != nil, settings["quant_method"] == nil,
        settings["group_size"] != nil, settings["bits"] != nil
      else { continue }
      return settings
    }
    return nil
  }

  /// Of a model whose layers are none of them quantized.
  init() { (general, layers) = (nil, NameTable([(String, MLXSettings?)]())) }

  /// - Parameter settings: `quantization`.
  public init(parsing settings: JSONValue) throws(CheckpointError) {
    var layers: [(String, MLXSettings?)] = []
    for member in settings.object?.members ?? [] {
      if member.value.object != nil { layers.append((member.key, try Self.parse(member.value, of: member.key))) }
      if member.value.bool == false { layers.append((member.key, nil)) }
    }
    general = try Self.parse(settings, of: nil)
    self.layers = NameTable(layers)
  }

  private static func parse(_ value: JSONValue, of layer: String?) throws(CheckpointError) -> MLXSettings {
    func refused(_ problem: String) -> CheckpointError {
      let place = layer.map { ", \(CheckpointError.shortened($0))" } ?? ""
      return CheckpointError(
        kind: .badData, subject: "config.json, quantization\(place)", problem: problem,
        remedy: "supported are affine with 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128, mxfp4 and nvfp4")
    }
    let name = value["mode"]?.string ?? MLXSettings.Mode.affine.rawValue
    guard let mode = MLXSettings.Mode(rawValue: name) else {
      throw refused("the mode \"\(CheckpointError.shortened(name))\" is not supported")
    }
    guard let size = value["group_size"]?.integer, let bits = value["bits"]?.integer else {
      throw refused("it has no whole numbers \"group_size\" and \"bits\"")
    }
    guard let settings = MLXSettings(groupSize: size, bits: bits, mode: mode) else {
      throw refused("\(bits) bits in groups of \(size) are not supported in the mode \(mode.rawValue)")
    }
    return settings
  }

  /// The settings of a layer that has scales; nil where it says that there is none.
  func settings(of path: String) -> MLXSettings? {
    if let own = layers[path] { return own }
    return general
  }

  /// What is written to config.json, under `quantization` and once more under `quantization_config`.
  ///
  /// Readers take every key that is no setting for the path of a layer: nothing else may stand there.
  /// - Parameters:
  ///   - layers: the quantized ones by their paths.
  ///   - dense: paths of those that are not.
  public static func json(layers: [(path: String, settings: MLXSettings)], dense: [String]) -> JSONValue {
    var counts: [MLXSettings: Int] = [:]
    for layer in layers { counts[layer.settings, default: 0] += 1 }
    let most = counts.values.max()
    guard let general = layers.first(where: { counts[$0.settings] == most })?.settings, var object = general.json.object else {
      return .null
    }
    for layer in layers where layer.settings != general { object[layer.path] = layer.settings.json }
    for path in dense { object[path] = .bool(false) }
    return .object(object)
  }
}
