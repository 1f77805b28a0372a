import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// What is written in MLX's layout, read again, and turned into other containers and back.
@Suite struct MLXRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(
    _ passes: [any CompressionPass], to name: String, format: OutputFormat = .mlx, model: String = "demo"
  ) throws -> ModelBundle {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    settings.threads = 2
    _ = try CompressionRun(model: ModelBundle(opening: model), recipe: Recipe(passes: passes, format: format), settings: settings).execute()
    return try ModelBundle(opening: directory.path(name))
  }

  private func affine(_ bits: Int, groupSize: Int = 64) -> MinimumSquaredError {
    var pass = MinimumSquaredError(bits: bits, method: .asymmetric, groupSize: groupSize)
    pass.targets.type = .affine
    return pass
  }

  private func error(of run: () throws -> ModelBundle) -> any Failure {
    do {
      _ = try run()
      return RecipeError("nothing", "was refused", kind: .inputOutput)
    } catch { return error as? any Failure ?? RecipeError("\(error)", "", kind: .inputOutput) }
  }

  private func digests(_ model: ModelBundle) throws -> [String] { try model.weights.names.map { try model.weights.digest($0) } }

  @Test(arguments: [2, 3, 4, 5, 6, 8])
  func everyWidthIsWritten(_ bits: Int) throws {
    let model = try run([affine(bits, groupSize: bits == 5 ? 32 : 64)], to: "out")
    let checkpoint = try #require(model.checkpoint as? SafeTensorsCheckpoint)
    #expect(checkpoint.metadata == ["format": "mlx"])
    let settings = try #require(model.configuration["quantization"])
    #expect(settings == model.configuration["quantization_config"])
    #expect(
      settings == [
        "group_size": .integer(bits == 5 ? 32 : 64), "bits": .integer(Int64(bits)), "mode": "affine", "lm_head": false,
      ])
    // What newer transformers puts elsewhere stands where mlx-lm looks for it.
    #expect(model.configuration["rope_theta"]?.double == 10000)
    let module = "model.layers.0.mlp.down_proj"
    #expect(checkpoint.descriptor("\(module).weight")?.shape == [128, 384 * bits / 32])
    #expect(checkpoint.descriptor("\(module).weight")?.dataType == .uint32)
    #expect(checkpoint.descriptor("\(module).biases")?.dataType == .bfloat16)
  }

  @Test func settingsOfSomeLayersStandByTheirPaths() throws {
    var pass = affine(4)
    pass.targets.overrides = [.init(pattern: ModulePattern("re:.*down_proj"), bits: 6, groupSize: 32)]
    pass.targets.ignore = [ModulePattern("re:.*layers\\.1\\..*o_proj")]
    let settings = try #require(run([pass], to: "out").configuration["quantization"]?.object)
    #expect(settings["model.layers.2.mlp.down_proj"] == ["group_size": 32, "bits": 6, "mode": "affine"])
    #expect(settings["model.layers.1.self_attn.o_proj"] == false && settings["lm_head"] == false)
    #expect(settings.count == 3 + 4 + 2)
  }

  @Test func symmetricWeightsComeBackInAnyContainer() throws {
    let packed = try run([RoundToNearest(bits: 4, groupSize: 32)], to: "packed", format: .compressedTensors)
    let mlx = try run([], to: "mlx", model: directory.path("packed"))
    let again = try run([], to: "again", format: .compressedTensors, model: directory.path("mlx"))
    #expect(try digests(again) == digests(packed))
    let hdf5 = try run([], to: "hdf5", format: .hdf5, model: directory.path("mlx"))
    #expect(try digests(hdf5) == digests(packed))
    #expect(try digests(run([], to: "back", model: directory.path("hdf5/model.h5"))) == digests(mlx))
    let (dense, other) = try (
      run([], to: "dense", format: .safetensors, model: directory.path("packed")),
      run([], to: "other", format: .safetensors, model: directory.path("mlx"))
    )
    // By value: what a minimum and as many steps come to has no negative zero.
    for name in dense.weights.names {
      #expect(try dense.weights.load(name).float32()?.float32Values() == other.weights.load(name).float32()?.float32Values(), "\(name)")
    }
  }

  @Test func whatIsNotExactIsRefused() throws {
    _ = try run([affine(4)], to: "affine")
    // Real minima are no whole numbers of steps.
    let packing = error { try run([], to: "packed", format: .compressedTensors, model: directory.path("affine")) }
    #expect(packing.kind == .usage && packing.remedy.contains("mlx"))
    _ = try run([RoundToNearest(bits: 4, method: .asymmetric, groupSize: 32)], to: "points", format: .compressedTensors)
    let points = error { try run([], to: "mlx", model: directory.path("points")) }
    #expect(points.kind == .usage && points.remedy.contains("--method asymmetric"))
    let planned = error { try run([RoundToNearest(bits: 4, method: .asymmetric, groupSize: 32)], to: "mlx") }
    #expect(planned.kind == .usage && planned.remedy.contains("affine"))
    let channel = error { try run([RoundToNearest(bits: 8)], to: "mlx") }
    #expect(channel.kind == .usage && channel.remedy.contains("--group-size 64"))
    let feedback = error { try run([affine(4)], to: "mlx", format: .compressedTensors) }
    #expect(feedback.kind == .usage)
    #expect(directory.contents == ["affine", "points"])
  }

  /// What is only known as codes are made is refused before: NVFP4 has a scale of the whole weight.
  @Test func aScaleOfTheWholeWeightIsRefusedBeforeAnyWork() throws {
    var pass = RoundToNearest()
    pass.targets.type = .nvfp4
    let settings = RunSettings(output: directory.url.appendingPathComponent("out"))
    let planned = #expect(throws: RecipeError.self) {
      try CompressionRun(model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass], format: .mlx), settings: settings).plan()
    }
    #expect(planned?.kind == .usage && planned?.remedy.contains("--type mxfp4") == true)
    _ = try run([pass], to: "nvfp4", format: .compressedTensors)
    let passedOn = error {
      _ = try CompressionRun(
        model: ModelBundle(opening: directory.path("nvfp4")), recipe: Recipe(passes: [], format: .mlx), settings: settings
      ).plan()
      return try ModelBundle(opening: "demo")
    }
    #expect(passedOn.kind == .usage && passedOn.problem.contains("scale of a whole NVFP4 weight"))
  }

  /// Experts lie in one tensor each, and layers that mlx-lm has no place for stay behind.
  @Test func expertsAreWrittenTogether() throws {
    try MixtureModel.write(to: directory.url.appendingPathComponent("mixture"))
    let source = directory.path("mixture")
    var pass = affine(4, groupSize: 32)
    pass.targets.overrides = [.init(pattern: ModulePattern("re:.*kv_b_proj"), bits: 6)]
    let latent = error { try run([pass], to: "out", model: source) }
    #expect(latent.kind == .usage && latent.subject.contains("kv_b_proj") && latent.problem.contains("anew"))
    pass.targets.overrides = []
    let model = try run([pass], to: "out", model: source)
    #expect(model.checkpoint.descriptor("model.layers.1.mlp.switch_mlp.up_proj.weight")?.shape == [8, 32, 8])
    #expect(model.checkpoint.descriptor("model.layers.1.mlp.switch_mlp.up_proj.scales")?.shape == [8, 32, 2])
    #expect(!model.weights.names.contains { $0.contains("layers.3.") || $0.contains("switch") })
    #expect(model.configuration["num_nextn_predict_layers"] == 0)
    #expect(model.configuration["quantization"]?["model.layers.0.self_attn.kv_b_proj"] == false)
    // Every expert reads as if it had been quantized by itself.
    let name = "model.layers.2.mlp.experts.5.down_proj.weight"
    let weight = try #require(ModelBundle(opening: source).weights.load(name).float32())
    let context = PassContext(interpreter: Interpreter(pool: ThreadPool(threads: 1)), seed: 0)
    let alone = try pass.quantize(
      weight, named: name, as: QuantizationScheme(bits: 4, offset: .minimum, granularity: .group(32)), scaleType: .float32, in: context)
    #expect(try model.weights.digest(name) == Weight.quantized(alone.tensor).digest())
    // One expert with other settings has no place in the tensor.
    pass.targets.overrides = [.init(pattern: ModulePattern("re:.*experts\\.3\\.up_proj"), bits: 6)]
    let mixed = error { try run([pass], to: "mixed", model: source) }
    #expect(mixed.kind == .usage && mixed.problem.contains("experts"))
    #expect(try digests(run([], to: "copy", model: directory.path("out"))) == digests(model))
  }
}
