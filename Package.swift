// swift-tools-version: 6.2
import PackageDescription

/// One row of the house: a module, what it may import from this package, and what it takes from outside.
/// `Scripts/check-imports` holds the sources to this table.
struct Module {
  var name: String
  var imports: [String] = []
  var external: [Target.Dependency] = []
  var resources: [Resource] = []
  var plugins: [String] = []
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let modules: [Module] = [
  Module(name: "Diagnostics"),
  Module(name: "Statistics"),
  Module(name: "Distribution", imports: ["Diagnostics"]),
  Module(name: "StructuredData", imports: ["Diagnostics"]),
  Module(name: "Tensors", imports: ["CKernels", "Diagnostics"]),
  Module(name: "Formats", imports: ["Tensors", "CHDF5", "StructuredData", "Diagnostics"]),
  Module(name: "ModelGraph", imports: ["Tensors", "Diagnostics"]),
  Module(name: "Architectures", imports: ["ModelGraph", "Tensors", "StructuredData", "Diagnostics"], plugins: ["TypeList"]),
  Module(name: "Execution", imports: ["ModelGraph", "Tensors", "CKernels", "Distribution", "Diagnostics"]),
  Module(
    name: "Training",
    imports: ["Formats", "Execution", "ModelGraph", "Tensors", "CKernels", "StructuredData", "Distribution", "Diagnostics"]),
  Module(
    name: "Compression",
    imports: ["Training", "CKernels", "Execution", "ModelGraph", "Tensors", "StructuredData", "Distribution", "Diagnostics"],
    plugins: ["TypeList"]),
  Module(name: "Evaluation", imports: ["Execution", "ModelGraph", "Tensors", "CKernels", "Statistics", "Distribution", "Diagnostics"]),
  Module(name: "Calibration", imports: ["Evaluation", "Execution", "ModelGraph", "Tensors", "StructuredData", "Diagnostics"]),
  Module(name: "Reporting", imports: ["StructuredData", "Statistics", "Diagnostics"]),
  Module(
    name: "Recipes",
    imports: [
      "Reporting", "Compression", "Training", "Calibration", "Evaluation", "Execution", "Architectures", "ModelGraph", "Formats",
      "Tensors", "StructuredData", "Statistics", "Distribution", "Diagnostics",
    ],
    external: [yams],
    resources: [.copy("Demo"), .copy("Presets"), .copy("Catalogue")]),
  Module(
    name: "DeepSeekOptimize",
    imports: [
      "Recipes", "Reporting", "Compression", "Training", "Calibration", "Evaluation", "Execution", "Architectures", "ModelGraph",
      "Formats", "Tensors", "StructuredData", "Statistics", "Distribution", "Diagnostics",
    ]),
  Module(name: "Telemetry", imports: ["Diagnostics"], external: [metrics]),
  Module(
    name: "MessagePassing", imports: ["Distribution", "Diagnostics"],
    external: [.target(name: "CMPI", condition: .when(traits: ["MPI"]))]),
  Module(name: "Commands", imports: ["DeepSeekOptimize", "Telemetry", "MessagePassing", "CMemory"], external: [argumentParser]),
]

/// One row per test target: what it looks at beyond the module it is named for, its fixtures, and scripts that only people run.
struct Tests {
  var module: String
  var imports: [String] = []
  var fixtures: [String] = []
  var scripts: [String] = []
}

let tests: [Tests] = [
  Tests(module: "Diagnostics"),
  Tests(module: "Statistics"),
  Tests(module: "Distribution", imports: ["Diagnostics"]),
  Tests(
    module: "StructuredData", imports: ["Diagnostics"], fixtures: ["Templates/TemplateFixtures"],
    scripts: ["Templates/make-template-fixtures.py"]),
  Tests(module: "Tensors", imports: ["CKernels"]),
  Tests(module: "CKernels", fixtures: ["BlockFixtures"], scripts: ["make-block-fixtures.py"]),
  Tests(
    module: "Formats", imports: ["Architectures", "ModelGraph", "Tensors", "StructuredData", "Diagnostics"],
    fixtures: [
      "HDF5/HDF5Fixtures", "SafeTensors/SafeTensorsFixtures", "CompressedTensors/CompressedTensorsFixtures",
      "FP8/FP8Fixtures", "MLX/MLXFixtures", "ColumnPacked/ColumnPackedFixtures",
      "Tokenizers/TokenizerFixtures", "Tokenizers/SentencePieceFixtures",
      "Adapters/AdapterFixtures", "GGUF/GGUFFixtures", "GGUF/ArchitectureFixtures",
    ],
    scripts: [
      "SafeTensors/make-safetensors-fixtures.py", "CompressedTensors/make-compressed-tensors-fixtures.py",
      "FP8/make-fp8-fixtures.py", "MLX/make-mlx-fixtures.py", "ColumnPacked/make-column-packed-fixtures.py",
      "Tokenizers/make-unicode-tables.py", "Tokenizers/make-tokenizer-fixtures.py", "Tokenizers/make-sentencepiece-fixtures.py",
      "Adapters/make-adapter-fixtures.py", "GGUF/make-gguf-architecture-fixtures.py",
    ]),
  Tests(module: "ModelGraph", imports: ["Tensors", "Diagnostics"]),
  Tests(module: "Architectures", imports: ["ModelGraph", "Tensors", "StructuredData", "Diagnostics"]),
  Tests(
    module: "Execution",
    imports: ["Recipes", "Compression", "Formats", "Architectures", "ModelGraph", "Tensors", "StructuredData", "Diagnostics"],
    fixtures: ["Fixtures", "EncoderFixtures", "KerasFixtures", "MLXFixtures"],
    scripts: [
      "make-goldens.py", "golden_models.py", "make-gradient-goldens.py", "make-encoder-goldens.py", "make-keras-goldens.py",
      "make-mlx-goldens.py",
    ]),
  Tests(
    module: "Compression", imports: ["CKernels", "Execution", "ModelGraph", "Tensors", "StructuredData", "Diagnostics"],
    fixtures: ["ErrorFeedbackFixtures", "LowRankFixtures", "NormalFloatFixtures"],
    scripts: ["make-error-feedback-golden.py", "make-low-rank-golden.py", "make-normal-float-golden.py"]),
  Tests(
    module: "Training", imports: ["Execution", "ModelGraph", "Tensors", "CKernels", "Formats", "StructuredData", "Diagnostics"],
    fixtures: ["TrainingFixtures"], scripts: ["make-training-goldens.py"]),
  Tests(module: "Calibration", imports: ["Evaluation", "Execution", "ModelGraph", "Tensors", "Diagnostics"]),
  Tests(module: "Evaluation", imports: ["Diagnostics"]),
  Tests(module: "Reporting", imports: ["StructuredData", "Diagnostics"]),
  Tests(module: "Recipes", imports: ["DeepSeekOptimize"]),
  Tests(module: "Telemetry", imports: ["Diagnostics"]),
  Tests(module: "Commands", imports: ["DeepSeekOptimize"]),
]

let executables = ["deepseek-quant", "deepseek-finetune", "deepseek-optimize"]

/// What is imported, and what that imports: the umbrella only passes on what others declare, and its users are compiled again when these
/// change only if they depend on them.
func reached(by names: [String]) -> [String] {
  var all: [String] = []
  var waiting = names
  while let name = waiting.popLast() {
    guard !all.contains(name) else { continue }
    all.append(name)
    waiting += modules.first { $0.name == name }?.imports ?? []
  }
  return all.sorted()
}

func dependencies(of module: Module) -> [Target.Dependency] {
  reached(by: module.imports).map { .target(name: $0) } + module.external
}

let settings: [SwiftSetting] = ["ExistentialAny", "MemberImportVisibility"].map { .enableUpcomingFeature($0) }

let package = Package(
  name: "DeepSeekOptimize",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "DeepSeekOptimize", targets: ["DeepSeekOptimize"]),
    // For the benchmarks, which time kernels without anything around them.
    .library(name: "CKernels", targets: ["CKernels"]),
  ]
    + executables.map { .executable(name: $0, targets: [$0]) },
  traits: [.trait(name: "MPI", description: "Several processes share a run, on one machine or many: what mpirun or srun start")],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .target(name: "CKernels", linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
    // What happens when memory runs out: a matter of programs, not of the library.
    .target(name: "CMemory"),
    // Open MPI, or what DSO_MPI names; only where the trait asks for it.
    .systemLibrary(
      name: "CMPI", pkgConfig: Context.environment["DSO_MPI"] ?? "ompi-c", providers: [.apt(["libopenmpi-dev"]), .brew(["open-mpi"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
    // Finds passes and families in the sources: a new one is one new file.
    .plugin(name: "TypeList", capability: .buildTool(), path: "Sources/Plugins/TypeList"),
  ]
    + modules.map {
      .target(
        name: $0.name, dependencies: dependencies(of: $0), resources: $0.resources, swiftSettings: settings,
        plugins: $0.plugins.map { .plugin(name: $0) })
    }
    + executables.map {
      .executableTarget(name: $0, dependencies: ["Commands"], swiftSettings: settings)
    }
    + tests.map { tests in
      .testTarget(
        name: "\(tests.module)Tests",
        dependencies: reached(by: [tests.module] + tests.imports).map { .target(name: $0) }
          + (tests.module == "Commands" ? executables.map { .target(name: $0) } + [argumentParser] : [])
          + (tests.module == "Telemetry" ? [metrics] : []),
        exclude: tests.scripts, resources: tests.fixtures.map { .copy($0) }, swiftSettings: settings)
    }
    // What the fuzzer found and started from, run without it: its own package, Fuzz, has these sources too.
    + [
      .testTarget(
        name: "FuzzTests", dependencies: reached(by: ["DeepSeekOptimize"]).map { .target(name: $0) }, path: "Fuzz/Sources",
        exclude: ["Driver"], sources: ["Targets", "Replay"], swiftSettings: settings)
    ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
