import Diagnostics
import Foundation
import StructuredData
import Tensors

/// Puts the tensors of an adapter file together, module by module.
struct AdapterReader {
  /// Names of the tensors of one module.
  struct Parts {
    var a: String?
    var b: String?
    var magnitude: String?
    var kind: AdapterModule.Kind?
  }

  let configuration: AdapterConfiguration
  let format: AdapterFormat
  let weights: SafeTensorsFile
  let configurationFile: URL

  init(_ configuration: AdapterConfiguration, format: AdapterFormat, weights: SafeTensorsFile, configurationFile: URL) {
    self.configuration = configuration
    self.format = format
    self.weights = weights
    self.configurationFile = configurationFile
  }

  func modules() throws(CheckpointError) -> [AdapterModule] {
    let parts = try collect()
    guard !parts.isEmpty else {
      throw CheckpointError.malformed(file: weights.file, "it holds no tensors", remedy: "fetch it again")
    }
    let table = NameTable(parts.map { ($0.key.text, $0.value) })
    let factors = try AdapterFactors(configuration, moduleNames: table.entries.map(\.name), file: configurationFile)
    let matcher = try matcher()
    guard matcher.canMatch(table.entries.map(\.name)) else {
      throw CheckpointError.malformed(
        file: configurationFile, "the expressions of the targets are too long for \(table.entries.count) modules", remedy: "list the names")
    }
    if format == .mlx { try checkLayers(Set(table.entries.compactMap { $0.name.blockPath?.number })) }
    var modules: [AdapterModule] = []
    modules.reserveCapacity(table.entries.count)
    for entry in table.entries {
      let module = try assemble(entry.name, entry.value, factors)
      guard matcher.selects(entry.name) else {
        throw malformed(
          entry.value.a, "\(configurationFile.lastPathComponent) does not select its module \(CheckpointError.shortened(entry.name))",
          remedy: "add the module to \(format == .peft ? "target_modules" : "lora_parameters.keys"), or remove its tensors")
      }
      modules.append(module)
    }
    return modules
  }

  func malformed(_ tensor: String?, _ problem: String, remedy: String) -> CheckpointError {
    CheckpointError.malformed(file: weights.file, tensor: tensor, problem, remedy: remedy)
  }

  private func matcher() throws(CheckpointError) -> AdapterTargetMatcher {
    do throws(NamePatternError) { return try AdapterTargetMatcher(configuration.targets) } catch {
      throw CheckpointError.malformed(
        file: configurationFile, "an expression of the targets, \(error.subject.dropFirst(3)), cannot be used: \(error.problem)",
        remedy: error.remedy)
    }
  }

  /// mlx-lm only makes adapters in the last `num_layers` blocks.
  private func checkLayers(_ found: Set<Int>) throws(CheckpointError) {
    guard let count = configuration.targets.lastLayerCount, count > 0, let first = found.min(), let last = found.max() else { return }
    // Names in full are adapted wherever they lie.
    if case .names(let names) = configuration.targets.modules, names.contains(where: { $0.blockPath != nil }) { return }
    guard last - first >= count else { return }
    throw CheckpointError.malformed(
      file: configurationFile, "\"num_layers\" is \(count), the adapter has tensors for blocks \(first) to \(last)",
      remedy: "write how many blocks were adapted, counted from the last")
  }

  private func collect() throws(CheckpointError) -> [TensorName: Parts] {
    var modules: [TensorName: Parts] = [:]
    var adapter: (name: String?, tensor: String)?
    for descriptor in weights.descriptors {
      let name = descriptor.name
      guard name.utf8.count <= MatchingBudget.maximumNameBytes else {
        throw malformed(
          name, "its name has \(name.utf8.count) bytes, more than \(MatchingBudget.maximumNameBytes)", remedy: "fetch it again")
      }
      guard let key = format == .peft ? AdapterTensorKey(peft: name) : AdapterTensorKey(mlx: name) else { throw unknown(name) }
      if let adapter, adapter.name != key.adapter {
        throw malformed(
          name, "it belongs to another adapter than \(CheckpointError.shortened(adapter.tensor))",
          remedy: "save each adapter in a directory of its own")
      }
      adapter = (key.adapter, name)
      try add(key, name, to: &modules[TensorName(key.module), default: Parts()])
    }
    return modules
  }

  private func add(_ key: AdapterTensorKey, _ name: String, to parts: inout Parts) throws(CheckpointError) {
    if let kind = kind(of: key) {
      guard parts.kind == nil || parts.kind == kind else {
        throw malformed(name, "its module has factors of a linear layer and of an embedding", remedy: "remove the pair that is not meant")
      }
      parts.kind = kind
    }
    let earlier: String?
    switch key.part {
    case .a, .embeddingA: (earlier, parts.a) = (parts.a, name)
    case .b, .embeddingB: (earlier, parts.b) = (parts.b, name)
    case .magnitude: (earlier, parts.magnitude) = (parts.magnitude, name)
    }
    if let earlier { throw malformed(name, "it is the same as \(CheckpointError.shortened(earlier))", remedy: "remove one of them") }
  }

  /// What PEFT's names tell, and mlx-lm's do not: there the module's own name must.
  private func kind(of key: AdapterTensorKey) -> AdapterModule.Kind? {
    guard format == .peft else { return AdapterTargets.embeddingNames.contains(key.module.leafName) ? .embedding : .linear }
    switch key.part {
    case .a, .b: return .linear
    case .embeddingA, .embeddingB: return .embedding
    case .magnitude: return nil
    }
  }

  private func unknown(_ name: String) -> CheckpointError {
    let isFactor = name.contains(".lora_") || name.hasPrefix("lora_")
    guard format == .peft else {
      return malformed(
        name, "it is no part of an adapter (<module>.lora_a, .lora_b or .m)",
        remedy: isFactor ? "rename it as mlx-lm does" : "fuse the model with mlx_lm.fuse: whole weights are not supported")
    }
    guard name.utf8.starts(with: AdapterTensorKey.peftPrefix.utf8) else {
      return malformed(
        name, "its name does not begin with \(AdapterTensorKey.peftPrefix): PEFT would load it without any effect",
        remedy: "save the adapter with save_pretrained, or put the prefix before every name")
    }
    if isFactor {
      return malformed(
        name,
        "it is no part of a low-rank adapter that is supported (lora_A, lora_B, lora_embedding_A, lora_embedding_B, lora_magnitude_vector)",
        remedy: "merge the adapter into its model with PEFT (merge_and_unload)")
    }
    return malformed(
      name, "it is a whole weight (modules_to_save, or a resized embedding), which is not supported",
      remedy: "merge the adapter into its model with PEFT (merge_and_unload), or save it with save_embedding_layers=False")
  }
}
