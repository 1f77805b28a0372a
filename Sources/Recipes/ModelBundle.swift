import Architectures
import Diagnostics
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// A model on disk, opened: configuration, lazily read weights, graph, and the files that belong to it.
public struct ModelBundle: Sendable {
  /// What reports call it.
  public let name: String
  /// Where config.json and the tokenizer are (for an HDF5 file that carries both in its attributes: its directory).
  public let directory: URL
  public let configuration: JSONValue
  public let checkpoint: any Checkpoint
  /// Parameters by their logical names, quantized ones as one.
  public let weights: any WeightSource
  public internal(set) var graph: ModelGraph
  /// What weights must be when an adapter is taken out of the model; nil otherwise.
  var originalDigests: OriginalDigests?
  /// Keys of config.json that nothing read.
  public let unreadKeys: [String]
  /// What the files of weights took together when they were opened: somebody may remove one that is still mapped.
  public let sourceBytes: Int
  /// Families that are not the package's; what is written is read again with them, too.
  let families: [any Architecture.Type]

  /// Opens a MODEL: `demo`, a Hugging Face directory, one `.safetensors` file beside its config.json, an HDF5 file, a GGUF file, or a model of
  /// Keras: a KerasHub preset, a `.weights.h5` file beside its config.json, a `.keras` archive, or a legacy `.h5` file.
  public init(opening path: String) throws { try self.init(opening: path, extent: .complete) }

  /// Opens a MODEL whose family may be one that the package does not know.
  /// - Parameter families: families of the program's own, which are asked before those of the package.
  public init(opening path: String, families: [any Architecture.Type]) throws {
    try self.init(opening: path, extent: .complete, families: families)
  }

  /// Opens a MODEL of which nothing but the headers of its files may be there: a run can be planned from that, and nothing else.
  /// - Parameters:
  ///   - extent: what of its files must be there.
  ///   - families: families of the program's own, which are asked before those of the package.
  public init(opening path: String, extent: CheckpointExtent, families: [any Architecture.Type] = []) throws {
    let location = path == DemoModel.name ? DemoModel.directory : URL(fileURLWithPath: path)
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: location.path, isDirectory: &isDirectory) else { throw Self.missing(path, at: location) }
    directory = isDirectory.boolValue ? location : location.deletingLastPathComponent()
    name = path == DemoModel.name ? path : Self.name(of: location)
    let found = try Self.checkpoint(at: location, isDirectory: isDirectory.boolValue, extent)
    checkpoint = found
    if let file = found as? GGUFCheckpoint {
      let model = try GGUFModel(file)
      configuration = model.configuration(of: file)
      weights = try GGUFSource(checkpoint: file, model: model)
    } else {
      configuration = try Self.configuration(directory, found)
      weights = try openWeights(checkpoint: found, configuration: configuration)
    }
    let (graph, unread) = try ArchitectureCatalog.graph(configuration: configuration, weights: weights, families: families)
    self.graph = graph
    self.families = families
    sourceBytes = found.files.reduce(0) { $0 + ((try? FileManager.default.attributesOfItem(atPath: $1.path)[.size] as? Int) ?? 0) }
    // These say how weights are stored; `openWeights` reads them.
    unreadKeys = unread.filter { !["quantization_config", "compression_config", "quantization"].contains($0) }
  }

  private static func missing(_ path: String, at location: URL) -> RecipeError {
    guard path == DemoModel.name else {
      return RecipeError(
        path, "there is no such model", remedy: "give a directory, a .safetensors, .gguf or HDF5 file, or the word demo",
        kind: .missingInput)
    }
    return RecipeError(
      location.path, "the demo model is not where it was installed", remedy: "install the program again, or give a --model",
      kind: .missingInput)
  }

  private static func name(of location: URL) -> String {
    let path = location.standardizedFileURL
    return path.hasDirectoryPath || path.pathExtension.isEmpty ? path.lastPathComponent : path.deletingPathExtension().lastPathComponent
  }

  /// The checkpoint of a MODEL alone, whether or not its configuration is understood.
  public static func checkpoint(of path: String) throws -> any Checkpoint {
    let location = path == DemoModel.name ? DemoModel.directory : URL(fileURLWithPath: path)
    var isDirectory: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: location.path, isDirectory: &isDirectory)
    return try checkpoint(at: location, isDirectory: isDirectory.boolValue)
  }

  private static let hdf5Endings = ["h5", "hdf5"]

  private static func checkpoint(
    at location: URL, isDirectory: Bool, _ extent: CheckpointExtent = .complete
  ) throws -> any Checkpoint {
    if let keras = try KerasCheckpoint.open(location, isDirectory: isDirectory) { return keras }
    guard isDirectory else {
      if location.pathExtension == GGUFCheckpoint.fileExtension { return try GGUFCheckpoint(location, extent: extent) }
      return hdf5Endings.contains(location.pathExtension)
        ? try HDF5Checkpoint(opening: location) : try SafeTensorsCheckpoint(location, extent: extent)
    }
    let files = (try? FileManager.default.contentsOfDirectory(at: location, includingPropertiesForKeys: nil)) ?? []
    let containers = files.filter { hdf5Endings.contains($0.pathExtension) }
    let hasSafeTensors = files.contains { $0.pathExtension == "safetensors" || $0.lastPathComponent.hasSuffix(".safetensors.index.json") }
    if !hasSafeTensors, containers.count == 1 {
      return try HDF5Checkpoint(opening: CheckpointDirectory(location).file(containers[0].lastPathComponent))
    }
    if !hasSafeTensors, files.contains(where: { $0.pathExtension == GGUFCheckpoint.fileExtension }) {
      return try GGUFCheckpoint(location, extent: extent)
    }
    return try SafeTensorsCheckpoint(location, extent: extent)
  }

  private static func configuration(_ directory: URL, _ checkpoint: any Checkpoint) throws -> JSONValue {
    if let keras = checkpoint as? KerasCheckpoint { return keras.configuration }
    let files = try CheckpointDirectory(directory)
    if files.contains("config.json") { return try withSettings(beside: files, in: JSONFile.read(files.file("config.json"))) }
    if let container = checkpoint as? HDF5Checkpoint, let text = container.configurationText {
      do { return try JSONValue(parsing: text) } catch { throw error.inFile("\(container.files[0].lastPathComponent): config") }
    }
    throw RecipeError(
      directory.appendingPathComponent("config.json").path, "there is no config.json",
      remedy: "put the model's config.json beside its weights", kind: .missingInput)
  }

  /// GPTQ and AWQ kept what they say of a checkpoint in a file of its own before config.json had a place for it.
  private static func withSettings(beside files: CheckpointDirectory, in configuration: JSONValue) throws -> JSONValue {
    guard var object = configuration.object, object["quantization_config"] == nil, object["compression_config"] == nil else {
      return configuration
    }
    for (name, method) in [("quantize_config.json", "gptq"), ("quant_config.json", "awq")] where files.contains(name) {
      guard var settings = try JSONFile.read(files.file(name)).object else { continue }
      if settings["quant_method"] == nil { settings["quant_method"] = .string(method) }
      object["quantization_config"] = .object(settings)
      break
    }
    return .object(object)
  }

  /// The files that an output needs beside its weights: tokenizer and generation settings, from the directory or an HDF5 file's attributes.
  /// Throws for a link that leads out of the directory.
  /// - Parameter format: what is written; Keras keeps its own files.
  func companions(for format: OutputFormat = .compressedTensors) throws -> [(name: String, content: Data)] {
    let files = try CheckpointDirectory(directory)
    let encoder = graph.purpose == .encoder ? try SentenceEncoder(in: files).files : []
    // As `tokenizer()` decides: what lies beside a GGUF file, a tokenizer or not, goes along.
    let own = try Tokenizer.json(in: directory) == nil ? (checkpoint as? GGUFCheckpoint)?.tokenizerFiles() ?? [] : []
    let names = checkpoint is KerasCheckpoint && format == .keras ? Self.kerasCompanionNames : Self.companionNames + encoder
    var companions = try names.compactMap { name -> (name: String, content: Data)? in
      if let file = own.first(where: { $0.name == name }) { return file }
      if files.contains(name) { return (name, try TextFile.data(files.file(name), limit: JSONFile.limit)) }
      return (checkpoint as? HDF5Checkpoint)?.attributeText(name).map { (name, Data($0.utf8)) }
    }
    if let file = checkpoint as? GGUFCheckpoint, graph.purpose == .encoder, encoder.isEmpty {
      companions += SentenceEncoder.files(of: file, width: configuration["hidden_size"]?.integer ?? 0)
    }
    // Where the tokenizer has another form, other programs get the one that they read.
    // One that we cannot put into that form goes along as it is: no weight needs it.
    if format != .keras, let (json, file) = try? Tokenizer.json(in: directory), !file.hasSuffix("/tokenizer.json") {
      companions.removeAll { $0.name == "tokenizer.json" }
      companions.append(("tokenizer.json", Data(json.text(pretty: false).utf8)))
    }
    return companions
  }

  /// What a preset of KerasHub holds beside its weights and their settings.
  private static let kerasCompanionNames = [
    "tokenizer.json", "preprocessor.json", "assets/tokenizer/vocabulary.spm", "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/merges.txt",
  ]

  private static let companionNames = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "vocab.json", "merges.txt",
    "added_tokens.json", "vocab.txt", "generation_config.json", "chat_template.jinja", "chat_template.json",
  ]

  /// The tokenizer beside the weights, or in the HDF5 file's attributes.
  public func tokenizer() throws -> Tokenizer {
    let file = directory.appendingPathComponent("tokenizer.json")
    if !FileManager.default.fileExists(atPath: file.path), let container = checkpoint as? HDF5Checkpoint,
      let text = container.attributeText("tokenizer.json")
    {
      do { return try Tokenizer(json: try JSONValue(parsing: text), named: "tokenizer.json") } catch let error as JSONError {
        throw error.inFile("\(container.files[0].lastPathComponent): tokenizer.json")
      }
    }
    if let container = checkpoint as? GGUFCheckpoint, try Tokenizer.json(in: directory) == nil {
      return try container.tokenizer()
    }
    return try Tokenizer(contentsOf: directory)
  }

  /// The same model as a format of outputs wants it.
  func required(by format: OutputFormat) -> ModelBundle {
    var copy = self
    copy.graph = graph.requiring(scalesOf: format.scaleType, dense: format.denseRoles(of: self))
    return copy
  }

  /// Bytes of the tensors that hold one parameter.
  func storedBytes(of name: String) -> Int { weights.storedByteCount(name) ?? 0 }

  /// - Throws: where files were accepted that hold their header alone.
  func requireValues() throws(RecipeError) {
    guard !checkpoint.holdsValues else { return }
    throw RecipeError(
      name, "has files of weights that hold their header alone", remedy: "fetch them whole; headers are enough for --dry-run only",
      kind: .badData)
  }

  /// The files that hold weights.
  var weightFiles: [URL] { checkpoint.files.filter { $0.pathExtension != "json" } }

  /// Identity of the weights: the SHA-256 of the file, or, of several, of the lines `<digest>  <name>` in the order of the names.
  public func contentDigest() throws -> String { try contentDigest(progress: nil) }

  /// - Parameter known: digests of files that were found out before.
  func contentDigest(known: [URL: String] = [:], progress: ProgressHandler?) throws -> String {
    let files = weightFiles
    return try FileDigest.reporting(files.filter { known[$0] == nil }, "Reading the model again", progress) {
      if files.count == 1 { return try known[files[0]] ?? FileDigest.hexadecimal(of: files[0]) }
      return try FileDigest.hexadecimal(ofFiles: files, known: known)
    }
  }
}

extension HDF5Checkpoint {
  /// The configuration that travels in the root's attributes.
  fileprivate var configurationText: String? { attributeText("config.json") ?? attributeText("config") }
}

extension ModelBundle {
  /// The tokenizer of a MODEL; a directory needs nothing but its tokenizer files for this.
  public static func tokenizer(of path: String) throws -> Tokenizer {
    let location = path == DemoModel.name ? DemoModel.directory : URL(fileURLWithPath: path)
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: location.path, isDirectory: &isDirectory), isDirectory.boolValue,
      try Tokenizer.json(in: location) != nil
    {
      return try Tokenizer(contentsOf: location)
    }
    return try ModelBundle(opening: path).tokenizer()
  }
}
