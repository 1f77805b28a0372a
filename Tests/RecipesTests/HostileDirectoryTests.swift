import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// Model directories whose names are not what they should be: links that lead out, pipes, devices, directories.
@Suite(.timeLimit(.minutes(2))) struct HostileDirectoryTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  enum Trick: CaseIterable { case linkOut, linkUp, pipe, device, folder }

  /// Every file of a model directory that is opened by its name.
  static let names = [
    "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "chat_template.jinja", "generation_config.json",
    "special_tokens_map.json", "model.safetensors.index.json", "quantize_config.json", "tokenizer.model",
  ]

  private func copyDemo(_ name: String) throws -> URL {
    let url = URL(fileURLWithPath: directory.path(name))
    try FileManager.default.copyItem(at: DemoModel.directory, to: url)
    return url
  }

  private func place(_ trick: Trick, at file: URL) throws {
    try? FileManager.default.removeItem(at: file)
    let secret = directory.path("secret")
    switch trick {
    case .linkOut:
      try "{\"secret\": 1}".write(toFile: secret, atomically: true, encoding: .utf8)
      try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: secret)
    case .linkUp:
      try "{\"secret\": 1}".write(toFile: secret, atomically: true, encoding: .utf8)
      try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: "../secret")
    case .pipe: #expect(mkfifo(file.path, 0o600) == 0)
    case .device: try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: "/dev/zero")
    case .folder: try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
    }
  }

  /// All that a run reads from the directory of a model.
  private func readAll(_ model: URL) throws {
    let bundle = try ModelBundle(opening: model.path)
    _ = try bundle.tokenizer()
    _ = try ChatTemplate.read(from: model)
    _ = try bundle.companions()
    _ = try GGUFTokenizer.encode(contentsOf: model)
  }

  @Test func theModelItselfIsFine() throws { try readAll(copyDemo("m")) }

  @Test(arguments: names, Trick.allCases) func namesThatAreNoFilesAreRefused(_ name: String, _ trick: Trick) throws {
    let model = try copyDemo("m")
    // What is looked at only where the other is missing.
    if name == "tokenizer.model" { try FileManager.default.removeItem(at: model.appendingPathComponent("tokenizer.json")) }
    try place(trick, at: model.appendingPathComponent(name))
    let error = #expect(throws: (any Error).self) { try readAll(model) }
    let failure = try #require(error as? any Failure)
    #expect(failure.kind == .badData, "\(failure)")
    #expect(failure.subject.contains(name), "\(failure)")
    let expected = [Trick.pipe, .folder].contains(trick) ? "not a regular file" : "a symbolic link to a file outside"
    #expect(failure.problem.contains(expected), "\(failure)")
  }

  /// What download tools keep: files under their digests, and links to these. Nothing beyond.
  @Test func snapshotsOfTheDownloadCacheAreRead() throws {
    let blobs = URL(fileURLWithPath: directory.path("blobs")), model = URL(fileURLWithPath: directory.path("snapshots/abc"))
    try FileManager.default.copyItem(at: DemoModel.directory, to: blobs)
    try FileManager.default.createDirectory(at: model, withIntermediateDirectories: true)
    for name in try FileManager.default.contentsOfDirectory(atPath: blobs.path) {
      try FileManager.default.createSymbolicLink(
        atPath: model.appendingPathComponent(name).path, withDestinationPath: "../../blobs/\(name)")
    }
    try readAll(model)
    // The repository's own directory is not the blobs'.
    try place(.linkOut, at: model.appendingPathComponent("tokenizer.json"))
    #expect(throws: TokenizerError.self) { try ModelBundle(opening: model.path).tokenizer() }
  }

  /// A directory whose only weights are an HDF5 or a GGUF file.
  @Test(arguments: ["model.h5", "model.gguf", "model.weights.h5"]) func containersMayNotLeadOut(_ name: String) throws {
    let model = try copyDemo("m")
    try FileManager.default.removeItem(at: model.appendingPathComponent("model.safetensors"))
    try place(.linkOut, at: model.appendingPathComponent(name))
    let error = #expect(throws: CheckpointError.self) { try ModelBundle(opening: model.path) }
    #expect(error?.kind == .badData && error?.problem.contains("a symbolic link to a file outside") == true)
  }

  @Test(arguments: ["../model.weights.h5", "/etc/passwd", "..", ".", "a/b.h5"]) func shardsOfKerasStayInside(_ name: String) throws {
    let model = URL(fileURLWithPath: directory.path("m"))
    try FileManager.default.createDirectory(at: model, withIntermediateDirectories: true)
    let settings = #"{"module": "m", "class_name": "LlamaBackbone", "config": {}, "registered_name": "keras_hub>LlamaBackbone"}"#
    try settings.write(to: model.appendingPathComponent("config.json"), atomically: true, encoding: .utf8)
    try #"{"weight_map": {"a": "\#(name)"}}"#.write(
      to: model.appendingPathComponent("model.weights.json"), atomically: true, encoding: .utf8)
    let error = #expect(throws: CheckpointError.self) { try ModelBundle(opening: model.path) }
    #expect(error?.kind == .badData, "\(String(describing: error))")
  }

  /// The files of an adapter, and of a record that a merge leaves beside the weights.
  @Test func adaptersStayInside() throws {
    let adapter = URL(fileURLWithPath: directory.path("adapter"))
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      for trick in Trick.allCases {
        try? FileManager.default.removeItem(at: adapter)
        try FileManager.default.createDirectory(at: adapter, withIntermediateDirectories: true)
        for other in ["adapter_config.json", "adapter_model.safetensors"] where other != name {
          try "{}".write(to: adapter.appendingPathComponent(other), atomically: true, encoding: .utf8)
        }
        try place(trick, at: adapter.appendingPathComponent(name))
        let error = #expect(throws: CheckpointError.self) { try AdapterCheckpoint(adapter) }
        #expect(error?.kind == .badData, "\(name), \(trick): \(String(describing: error))")
      }
    }
  }

  /// Texts that a command is given, and recipes.
  @Test func textsThatAreNoFiles() throws {
    for trick in [Trick.pipe, .device, .folder] {
      let file = URL(fileURLWithPath: directory.path("text.txt"))
      try place(trick, at: file)
      let text = #expect(throws: RecipeError.self) { try TextFile.read(file) }
      #expect(text?.kind == .badData && text?.problem == "it is not a regular file")
      #expect(throws: RecipeError.self) { try StoredReport.read(file.path) }
    }
  }
}
