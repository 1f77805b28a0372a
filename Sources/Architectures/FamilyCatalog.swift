extension ArchitectureCatalog {
  /// Every file of `Families/`, sorted. A test holds this list to the folder.
  static let families: [any Architecture.Type] = [Llama.self, Mistral.self, Qwen2.self, Qwen3.self]
}
