extension ArchitectureCatalog {
  /// Every file of `Families/`, sorted. A test holds this list to the folder.
  static let families: [any Architecture.Type] = [
    Bert.self, DeepseekV2.self, DeepseekV3.self, Llama.self, Mistral.self, Mixtral.self, Qwen2.self, Qwen3.self, Qwen3Moe.self,
  ]
}
