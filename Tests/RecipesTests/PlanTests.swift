import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// What a dry run says, held against what a run does.
@Suite struct PlanTests {
  private let directory: TemporaryDirectory
  private let location: URL

  init() throws {
    directory = try TemporaryDirectory()
    location = URL(fileURLWithPath: directory.path("model"))
    try MixtureModel.write(to: location)
  }

  private func settings(_ name: String = "out") -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    return settings
  }

  private func targets(bits: Int = 4, groupSize: Int = 32) -> RoundToNearest {
    RoundToNearest(bits: bits, method: .symmetric, groupSize: groupSize)
  }

  /// The file of weights without its data.
  private func cutData() throws {
    let file = location.appendingPathComponent("model.safetensors")
    let data = try Data(contentsOf: file)
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    try data.prefix(8 + length).write(to: file)
  }

  @Test func headersAreEnoughToPlanAndNotToRun() throws {
    let whole = try CompressionRun(
      model: try ModelBundle(opening: location.path), recipe: Recipe(passes: [targets()]), settings: settings()
    ).plan()
    try cutData()
    let refused = #expect(throws: CheckpointError.self) { try ModelBundle(opening: location.path) }
    #expect(refused?.kind == .badData)
    let model = try ModelBundle(opening: location.path, extent: .headers)
    let run = CompressionRun(model: model, recipe: Recipe(passes: [targets()]), settings: settings())
    let plan = try run.plan()
    #expect(whole.canRun && !plan.canRun)
    #expect(plan.layers.map(\.name) == whole.layers.map(\.name) && plan.outputBytes == whole.outputBytes)
    #expect(plan.sourceBytes == whole.sourceBytes)
    let error = #expect(throws: RecipeError.self) { try run.execute() }
    #expect(error?.kind == .badData && error?.description.contains("header alone") == true)
    #expect(directory.contents == ["model"])
  }

  /// Tensor by tensor, the planned bytes are those of the written files.
  @Test(arguments: [OutputFormat.compressedTensors, .safetensors])
  func plannedBytesAreWritten(_ format: OutputFormat) throws {
    let model = try ModelBundle(opening: location.path)
    let run = CompressionRun(model: model, recipe: Recipe(passes: [targets()], format: format), settings: settings())
    let plan = try run.plan()
    #expect(plan.traffic.written == plan.outputBytes)
    let report = try run.execute()
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(plan.outputBytes == written.checkpoint.descriptors.reduce(0) { $0 + ($1.byteCount ?? 0) })
    #expect(Set(plan.layers.map(\.name)) == Set(written.weights.names))
    for layer in plan.layers {
      #expect(written.weights.storedByteCount(layer.name) == layer.outputBytes, "\(layer.name)")
      #expect(written.weights.describe(layer.name)?.storage == layer.storage, "\(layer.name)")
    }
    #expect(plan.sourceBytes == model.checkpoint.descriptors.reduce(0) { $0 + ($1.byteCount ?? 0) })
    #expect(abs(plan.bitsPerWeight - (report.size?.bitsPerWeight ?? 0)) < 1e-9)
  }

  @Test func everyWeightHasAReason() throws {
    var pass = targets()
    pass.targets.mixedPrecision = .roles
    pass.targets.overrides = [.init(pattern: "re:.*layers[.]1[.].*o_proj", bits: 8)]
    pass.targets.ignore = ["re:.*layers[.]2[.].*o_proj"]
    let model = try ModelBundle(opening: location.path)
    let plan = try CompressionRun(model: model, recipe: Recipe(passes: [pass]), settings: settings()).plan()
    func reason(_ name: String) -> StorageReason? { plan.layers.first { $0.name == name }?.reason }
    #expect(reason("model.layers.1.mlp.experts.3.up_proj.weight") == .setting)
    #expect(reason("model.layers.1.mlp.shared_experts.up_proj.weight") == .usedByEveryToken)
    #expect(reason("model.layers.1.self_attn.o_proj.weight") == .overridden(by: "re:.*layers[.]1[.].*o_proj"))
    #expect(reason("model.layers.2.self_attn.o_proj.weight") == .ignored(by: "re:.*layers[.]2[.].*o_proj"))
    #expect(reason("model.layers.1.mlp.gate.weight") == .keptRouter)
    #expect(reason("lm_head.weight") == .keptHead)
    #expect(reason("model.norm.weight") == .notLinear && reason("model.embed_tokens.weight") == .notLinear)
    #expect(reason("model.layers.3.eh_proj.weight") == .notRun)
    for layer in plan.layers {
      if case .quantized = layer.storage { continue }
      #expect(![.setting, .usedByEveryToken].contains(layer.reason) && layer.sourceBytes == layer.outputBytes, "\(layer.name)")
    }
    let converted = try CompressionRun(model: model, recipe: Recipe(passes: []), settings: settings()).plan()
    #expect(converted.layers.contains { $0.reason == .noPass } && converted.outputBytes == converted.sourceBytes)
  }

  /// What is held is at least what must be: the largest layer by itself, a whole block where calibration runs through it.
  @Test func memoryCoversWhatIsHeld() throws {
    let model = try ModelBundle(opening: location.path)
    let alone = try CompressionRun(model: model, recipe: Recipe(passes: [targets()]), settings: settings()).plan()
    let largest = alone.layers.map(\.sourceBytes).max() ?? 0
    #expect(alone.memory.unknown.isEmpty && alone.memory.phases.map(\.name) == ["quantizing", "comparing"])
    #expect((alone.memory.largest?.bytes ?? 0) >= largest && alone.memory.peak >= alone.memory.base + largest)
    let calibrated = Recipe(
      passes: [GPTQ(bits: 4, groupSize: 32)], calibration: CalibrationPlan(text: "demo", samples: 8, sequenceLength: 64))
    var measured = settings()
    measured.evaluation = EvaluationSettings(context: 64, tokens: 1024)
    let whole = try CompressionRun(model: model, recipe: calibrated, settings: measured).plan()
    #expect(whole.memory.phases.map(\.name) == ["quantizing", "calibrating", "comparing", "measuring", "scoring", "timing"])
    let block =
      model.graph.blocks.dropFirst().map { block in
        model.graph.parameters(of: block).reduce(0) { $0 + model.weights.storedByteCount(model.graph[$1].name)! }
      }.max() ?? 0
    #expect(whole.memory.phases[1].weights >= block / 2 && whole.memory.phases[3].weights >= block / 2)
    #expect(whole.traffic.read > alone.traffic.read && whole.time.isComplete && whole.time.seconds > 0)
    #expect(whole.time.steps.contains { $0.name.hasPrefix("factorizations") })
    let unknown = try CompressionRun(
      model: model,
      recipe: Recipe(passes: [GPTQ(bits: 4, groupSize: 32, outputSensitivity: true)], calibration: calibrated.calibration),
      settings: settings()
    ).plan()
    #expect(unknown.memory.unknown == ["gptq"] && !unknown.time.isComplete)
  }

  /// A limit is held against a layer where one is worked on at a time.
  @Test func limitsAreHeldAgainstWhatIsWorkedOn() throws {
    let model = try ModelBundle(opening: location.path)
    func run(limit: Int?) -> CompressionRun {
      var limited = settings()
      limited.maximumMemory = limit
      return CompressionRun(model: model, recipe: Recipe(passes: [targets()]), settings: limited)
    }
    let free = run(limit: nil)
    let layer = try free.largestUnitBytes(free.prepare(), layersAlone: true)
    #expect(try layer > 0 && layer <= free.largestUnitBytes(free.prepare(), layersAlone: false))
    let error = #expect(throws: RecipeError.self) { try run(limit: layer + (32 << 20) - 1).execute() }
    #expect(error?.kind == .usage && error?.description.contains("largest layer") == true)
    #expect(throws: Never.self) { try run(limit: layer + (32 << 20)).execute() }
  }

  /// Twenty thousand tensors of experts, from headers alone.
  @Test func manyTensorsArePlannedQuickly() throws {
    let (layers, experts) = (27, 256)
    let configuration = try JSONValue(parsing: String(contentsOf: location.appendingPathComponent("config.json"), encoding: .utf8))
    guard var object = configuration.object else { return }
    object["num_hidden_layers"] = .integer(Int64(layers))
    object["n_routed_experts"] = .integer(Int64(experts))
    try Data(JSONValue.object(object).text().utf8).write(to: location.appendingPathComponent("config.json"))
    let small = try SafeTensorsCheckpoint(location)
    var tensors = small.descriptors.filter { !$0.name.contains(".layers.") }
    for layer in 0..<layers {
      for tensor in small.descriptors where tensor.name.contains(".layers.\(min(layer, 1)).") {
        let name = tensor.name.replacing(".layers.\(min(layer, 1)).", with: ".layers.\(layer).")
        if let mark = name.firstRange(of: ".experts.0.") {
          for expert in 0..<experts {
            tensors.append(
              .init(name: name.replacingCharacters(in: mark, with: ".experts.\(expert)."), dataType: .float32, shape: tensor.shape))
          }
        } else if !name.contains(".experts.") {
          let shape: Shape = name.hasSuffix("gate.weight") ? [experts, 64] : name.hasSuffix("correction_bias") ? [experts] : tensor.shape
          tensors.append(.init(name: name, dataType: .float32, shape: shape))
        }
      }
    }
    var header = JSONObject()
    var place = 0
    for tensor in tensors {
      let end = place + (tensor.byteCount ?? 0)
      header[tensor.name] = [
        "dtype": "F32", "shape": .array(tensor.shape.dimensions.map { .integer(Int64($0)) }),
        "data_offsets": [.integer(Int64(place)), .integer(Int64(end))],
      ]
      place = end
    }
    let json = Array(JSONValue.object(header).text(pretty: false).utf8)
    try Data(withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json)
      .write(to: location.appendingPathComponent("model.safetensors"))
    let start = ContinuousClock.now
    let model = try ModelBundle(opening: location.path, extent: .headers)
    let plan = try CompressionRun(model: model, recipe: Recipe(passes: [targets()]), settings: settings()).plan()
    #expect(plan.layers.count == tensors.count && tensors.count > 20_000)
    #expect(ContinuousClock.now - start < .seconds(20))
  }
}
