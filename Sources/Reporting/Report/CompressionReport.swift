import StructuredData

/// What a compression run did to a model, measured: the content of `report.json`, schema 1.
///
/// A section or figure that is nil was not measured; the document then has no such key. Figures that are not finite are left
/// out when writing, so the document never holds NaN. Reading ignores keys it does not know.
public struct CompressionReport: Sendable, Equatable {
  /// The version of the document's layout that this type reads and writes.
  public static let schema = 1

  public var tool: Tool
  public var model: Model
  /// One object for each pass in the order they ran: `{"pass": name, option: value, …}`.
  public var recipe: [JSONValue]
  public var inputs: Inputs?
  /// The files of weights that were written, with their hashes.
  public var outputs: [OutputFile]
  /// Every other file of the output but the report itself, with its hash. An extension of schema 1.
  public var files: [OutputFile] = []
  /// SHA-256 of `report.json` with these 64 digits as zeros; nil where the report is not in a file. An extension of schema 1.
  public var reportSHA256: String?
  /// The text that passes were calibrated on; nil when none needed any. An extension of schema 1.
  public var calibration: Calibration?
  /// How parameters were trained; nil when none were. An extension of schema 1.
  public var training: Training?
  public var size: Size?
  public var accuracy: Accuracy?
  /// How far an encoder's embeddings agree with its source's; nil for models that predict tokens. An extension of schema 1.
  public var embeddings: Embeddings?
  /// What ways of bringing in activations cost, that of the checkpoint first; nil when it quantizes none. An extension of schema 1.
  public var activations: [ActivationForm]?
  /// What a quantized cache of keys and values costs; nil when none was measured. An extension of schema 1.
  public var keyValueCache: KeyValueCache?
  /// What became of the experts of a mixture; nil for models without. An extension of schema 1.
  public var experts: Experts?
  /// How the bits of the layers were chosen; nil when they were given. An extension of schema 1.
  public var allocation: Allocation?
  /// What was left out; nil when nothing was. An extension of schema 1.
  public var pruning: Pruning?
  /// Which modules gave way to others; nil when none did. An extension of schema 1.
  public var replacement: Replacement?
  /// What was learned from a teacher; nil when nothing was. An extension of schema 1.
  public var distillation: Distillation?
  /// What every stage of a recipe left, its source first; nil for a recipe of one. An extension of schema 1.
  public var passes: [PassResult]?
  /// One entry for each compressed weight matrix, in model order; nil when layers were not measured.
  public var layers: [Layer]?
  public var speed: Speed?
  public var resources: Resources?
  public var gates: [Gate]
  /// What the reader has to know before believing the figures.
  public var warnings: [String]

  public init(
    tool: Tool, model: Model, recipe: [JSONValue] = [], inputs: Inputs? = nil, outputs: [OutputFile] = [],
    calibration: Calibration? = nil, training: Training? = nil, size: Size? = nil,
    accuracy: Accuracy? = nil, embeddings: Embeddings? = nil, activations: [ActivationForm]? = nil, keyValueCache: KeyValueCache? = nil,
    experts: Experts? = nil, allocation: Allocation? = nil, pruning: Pruning? = nil, replacement: Replacement? = nil,
    distillation: Distillation? = nil,
    passes: [PassResult]? = nil,
    layers: [Layer]? = nil, speed: Speed? = nil, resources: Resources? = nil, gates: [Gate] = [], warnings: [String] = []
  ) {
    self.tool = tool
    self.model = model
    self.recipe = recipe
    self.inputs = inputs
    self.outputs = outputs
    self.calibration = calibration
    self.training = training
    self.size = size
    self.accuracy = accuracy
    self.embeddings = embeddings
    self.activations = activations
    self.keyValueCache = keyValueCache
    self.experts = experts
    self.allocation = allocation
    self.pruning = pruning
    self.replacement = replacement
    self.distillation = distillation
    self.passes = passes
    self.layers = layers
    self.speed = speed
    self.resources = resources
    self.gates = gates
    self.warnings = warnings
  }

  /// Reads a parsed `report.json`.
  ///
  /// - Throws: ``ReportError`` (bad data) naming the key when a known key holds the wrong type, a required one is missing, or
  ///   the schema is not ``schema``.
  public init(json: JSONValue) throws(ReportError) {
    let reader = try ReportReader(json, path: "")
    guard let version = try reader.count("schema") else {
      throw ReportError("schema", "is missing", remedy: "give a report.json that this tool wrote")
    }
    guard version == Self.schema else {
      throw ReportError("schema", "is \(version), this version reads \(Self.schema)", remedy: "use the version that wrote it")
    }
    let recipe = try reader.array("recipe") ?? []
    for (index, pass) in recipe.enumerated() {
      _ = try ReportReader(pass, path: "recipe[\(index)]").string("pass")
    }
    self.init(
      tool: try reader.requiredSection("tool"),
      model: try reader.requiredSection("model"),
      recipe: recipe,
      inputs: try reader.section("inputs"),
      outputs: try reader.sections("outputs") ?? [],
      calibration: try reader.section("calibration"), training: try reader.section("training"), size: try reader.section("size"),
      accuracy: try reader.section("accuracy"), embeddings: try reader.section("embeddings"),
      activations: try reader.sections("activations"),
      keyValueCache: try reader.section("keyValueCache"),
      experts: try reader.section("experts"), allocation: try reader.section("allocation"), pruning: try reader.section("pruning"),
      replacement: try reader.section("replacement"), distillation: try reader.section("distillation"),
      passes: try reader.sections("passes"),
      layers: try reader.sections("layers"),
      speed: try reader.section("speed"),
      resources: try reader.section("resources"),
      gates: try reader.sections("gates") ?? [],
      warnings: try reader.strings("warnings") ?? [])
    files = try reader.sections("files") ?? []
    reportSHA256 = try reader.string("reportSHA256")
  }

  /// The document, keys in the documented order.
  public var json: JSONValue {
    var writer = ReportWriter()
    writer.set("schema", Self.schema)
    writer.set("tool", tool)
    writer.set("model", model)
    writer.set("recipe", recipe)
    writer.set("inputs", inputs)
    if !outputs.isEmpty { writer.set("outputs", outputs) }
    if !files.isEmpty { writer.set("files", files) }
    writer.set("reportSHA256", reportSHA256)
    writer.set("calibration", calibration)
    writer.set("training", training)
    writer.set("size", size)
    writer.set("accuracy", accuracy)
    writer.set("embeddings", embeddings)
    writer.set("activations", activations)
    writer.set("keyValueCache", keyValueCache)
    writer.set("experts", experts)
    writer.set("allocation", allocation)
    writer.set("pruning", pruning)
    writer.set("replacement", replacement)
    writer.set("distillation", distillation)
    writer.set("passes", passes)
    writer.set("layers", layers)
    writer.set("speed", speed)
    writer.set("resources", resources)
    writer.set("gates", gates)
    writer.set("warnings", warnings)
    return .object(writer.object)
  }
}
