import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// The demo model in GPTQ's and AWQ's layouts and in floats, written, read again and converted. The run itself compares every weight.
@Suite struct FormatRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(_ passes: [any CompressionPass], model: String = "demo", to name: String, format: OutputFormat) throws {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    settings.threads = 2
    _ = try CompressionRun(model: ModelBundle(opening: model), recipe: Recipe(passes: passes, format: format), settings: settings).execute()
  }

  private func values(_ name: String) throws -> [String: [Float]] {
    let weights = try ModelBundle(opening: directory.path(name)).weights
    return try weights.names.reduce(into: [:]) { $0[$1] = try weights.load($1).float32()?.float32Values() }
  }

  /// A way through all three layouts changes no value.
  @Test(arguments: [QuantizationTargets.Method.symmetric, .asymmetric]) func valuesSurviveEveryLayout(method: QuantizationTargets.Method)
    throws
  {
    try run([RoundToNearest(bits: 4, method: method, groupSize: 32)], to: "gptq", format: .gptq)
    try run([], model: directory.path("gptq"), to: "awq", format: .awq)
    try run([], model: directory.path("awq"), to: "ct", format: .compressedTensors)
    try run([], model: directory.path("ct"), to: "back", format: .gptq)
    let expected = try values("gptq")
    for name in ["awq", "ct", "back"] { #expect(try values(name) == expected, "\(name)") }
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path("gptq"))
    #expect(files.contains("quantize_config.json"))
    let scales = try #require(ModelBundle(opening: directory.path("gptq")).checkpoint.descriptor("model.layers.0.mlp.up_proj.scales"))
    #expect(scales.dataType == .float16)
  }

  @Test(arguments: [WeightType.fp8, .fp8Tensor, .fp8Block, .nvfp4, .mxfp4]) func floatsAreWrittenAndRead(type: WeightType) throws {
    var pass = MinimumSquaredError()
    pass.targets.type = type
    try run([pass], to: "out", format: .compressedTensors)
    let bundle = try ModelBundle(opening: directory.path("out"))
    let storage = bundle.weights.describe("model.layers.0.mlp.up_proj.weight")?.storage
    guard case .quantized(let scheme)? = storage else {
      Issue.record("is not quantized")
      return
    }
    #expect(scheme.levels == (type == .nvfp4 || type == .mxfp4 ? .float4 : .float8))
    let error = #expect(throws: CheckpointError.self) { try run([], model: directory.path("out"), to: "gptq", format: .gptq) }
    #expect(error?.kind == .usage)
  }

  /// A scale per channel, or per large group, is that of every small group; whole minima are zero points, and those in the middle are none.
  @Test(arguments: [
    (8, 0, OutputFormat.compressedTensors, OutputFormat.gguf, "W8A16 g32"), (8, 0, .compressedTensors, .mlx, "W8A16 g128 affine"),
    (4, 128, .compressedTensors, .gguf, "W4A16 g32"), (8, 64, .mlx, .gguf, "W8A16 g32"), (4, 32, .mlx, .gptq, "W4A16 g32"),
    (4, 32, .mlx, .awq, "W4A16 g32 asymmetric"), (4, 64, .awq, .gguf, "W4A16 g32"), (4, 0, .gptq, .mlx, "W4A16 g128 affine"),
  ])
  func otherFormsOfTheSameValuesAreWritten(_ bits: Int, _ groupSize: Int, _ from: OutputFormat, _ to: OutputFormat, _ name: String) throws {
    try run([RoundToNearest(bits: bits, groupSize: groupSize)], to: "from", format: from)
    try run([], model: directory.path("from"), to: "to", format: to)
    let (before, after) = (try values("from"), try values("to"))
    #expect(Set(before.keys) == Set(after.keys))
    for (name, values) in before { #expect(after[name] == values, "\(name)") }
    guard
      case .quantized(let scheme)? = try ModelBundle(opening: directory.path("to")).weights.describe("model.layers.0.mlp.up_proj.weight")?
        .storage
    else {
      Issue.record("is not quantized")
      return
    }
    #expect(scheme.name == name)
  }

  /// Scales that float16 does not hold are found before any work.
  @Test(arguments: [OutputFormat.gptq, .awq, .gguf]) func scalesBeyondFloat16AreRefusedBeforeAnyWork(_ format: OutputFormat) throws {
    try MixtureModel.write(to: directory.url.appendingPathComponent("model"))
    var pass = RoundToNearest(bits: 4, groupSize: 32)
    pass.targets.ignore = [ModulePattern("re:.*kv_[ab]_proj.*")]
    try run([pass], model: directory.path("model"), to: "out", format: .compressedTensors)
    let settings = RunSettings(output: directory.url.appendingPathComponent("again"))
    let error = #expect(throws: (any Error).self) {
      try CompressionRun(
        model: ModelBundle(opening: directory.path("out")), recipe: Recipe(passes: [], format: format), settings: settings
      ).plan()
    }
    let failure = try #require(error as? any Failure)
    #expect(failure.kind == .usage && (failure.problem.contains("float16") || failure.problem.contains("no number of the type's")))
  }

  @Test func activationsThatAreRefusedAreCalledByTheirName() {
    var pass = RoundToNearest()
    (pass.targets.type, pass.targets.activations) = (.fp8, .float8)
    let error = #expect(throws: RecipeError.self) { try run([pass], to: "out", format: .safetensors) }
    #expect(error?.problem.hasPrefix("cannot hold float8 activations") == true)
  }

  /// Loaders that came before config.json had it wrote it beside.
  @Test func theSettingsMayLieInAFileOfTheirOwn() throws {
    try run([RoundToNearest(bits: 4, groupSize: 32)], to: "gptq", format: .gptq)
    let expected = try values("gptq")
    let file = URL(fileURLWithPath: directory.path("gptq/config.json"))
    var object = try #require(JSONValue(parsing: String(contentsOf: file, encoding: .utf8)).object)
    object["quantization_config"] = Optional.none
    try JSONValue.object(object).text().write(to: file, atomically: true, encoding: .utf8)
    #expect(try values("gptq") == expected)
  }
}
