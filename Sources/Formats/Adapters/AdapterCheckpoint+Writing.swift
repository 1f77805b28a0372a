import Foundation
import StructuredData
import Tensors

extension AdapterCheckpoint {
  /// Writes both files of that layout; nothing has its final name before everything is on the disk. The bytes depend on nothing but the
  /// adapter and `modelModules`. Tensors keep their types.
  ///
  /// - Parameters:
  ///   - directory: an existing directory without an adapter in it.
  ///   - modelModules: all modules of the base model that have a weight; with them, the settings name short suffixes where these select
  ///     exactly the adapted modules. Without them every module is named in full.
  /// - Throws: `CheckpointError`, of kind `usage` for what the layout cannot hold.
  public func write(to directory: URL, format: AdapterFormat, modelModules: [String]? = nil) throws(CheckpointError) {
    for name in AdapterFormat.allFileNames {
      let file = directory.appendingPathComponent(name)
      if FileManager.default.fileExists(atPath: file.path) {
        throw CheckpointError.cannotCreate(file: file, "it exists already", remedy: "remove the old adapter or choose another place")
      }
    }
    let tensors: [(name: String, tensor: Tensor)]
    let configuration: JSONObject
    switch format {
    case .peft:
      tensors = peftTensors()
      configuration = peftConfiguration(among: modelModules)
    case .mlx:
      let layout = try MLXAdapterLayout(self)
      tensors = try layout.tensors()
      configuration = layout.configuration(among: modelModules)
    }
    let weights = try SafeTensorsFile.prepare(
      tensors, metadata: ["format": format == .peft ? "pt" : "mlx"], to: directory.appendingPathComponent(format.weightsFileName))
    let text = Array(JSONValue.object(configuration).text().utf8)
    let settings = try OutputFile(
      directory.appendingPathComponent(AdapterFormat.configurationFileName), byteCount: text.count)
    try settings.write(text)
    try settings.flush()
    try weights.publish()
    // The settings last: whoever sees them finds the tensors.
    try settings.publish()
    try OutputFile.flushDirectory(directory)
  }

  /// Settings of the layout that is written, which were read from the same layout and are none of `written`.
  func keptKeys(_ format: AdapterFormat, besides written: JSONObject, dropping dropped: Set<String>) -> [JSONObject.Member] {
    guard configuration.origin == format else { return [] }
    return configuration.otherKeys.members.filter { written[$0.key] == nil && !dropped.contains($0.key) }
  }
}
