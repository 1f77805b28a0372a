// swift-tools-version: 6.2
import PackageDescription

/// One row of the house: a module, what it may import from this package, and what it takes from outside.
/// `Scripts/check-imports` holds the sources to this table.
struct Module {
  var name: String
  var imports: [String] = []
  var external: [Target.Dependency] = []
  var resources: [Resource] = []
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let modules: [Module] = [
  Module(name: "Diagnostics"),
  Module(name: "StructuredData", imports: ["Diagnostics"]),
  Module(name: "Tensors", imports: ["CKernels", "Diagnostics"]),
  Module(name: "Formats", imports: ["Tensors", "CHDF5", "StructuredData", "Diagnostics"]),
  Module(name: "ModelGraph", imports: ["Tensors", "Diagnostics"]),
  Module(name: "Architectures", imports: ["ModelGraph", "Tensors", "StructuredData", "Diagnostics"]),
  Module(name: "Execution", imports: ["ModelGraph", "Tensors", "CKernels", "Diagnostics"]),
  Module(name: "Compression", imports: ["CKernels", "Execution", "ModelGraph", "Tensors", "StructuredData", "Diagnostics"]),
  Module(name: "Evaluation", imports: ["Execution", "ModelGraph", "Tensors", "CKernels", "Diagnostics"]),
  Module(name: "Reporting", imports: ["StructuredData", "Diagnostics"]),
  Module(
    name: "Recipes",
    imports: [
      "Reporting", "Compression", "Evaluation", "Execution", "Architectures", "ModelGraph", "Formats", "Tensors",
      "StructuredData", "Diagnostics",
    ],
    external: [yams],
    resources: [.copy("Demo")]),
  Module(
    name: "DeepSeekOptimize",
    imports: [
      "Recipes", "Reporting", "Compression", "Evaluation", "Execution", "Architectures", "ModelGraph", "Formats", "Tensors",
      "StructuredData", "Diagnostics",
    ]),
  Module(name: "Commands", imports: ["DeepSeekOptimize"], external: [argumentParser]),
]

let executables = ["deepseek-quant", "deepseek-optimize"]

func dependencies(of module: Module) -> [Target.Dependency] {
  module.imports.map { .target(name: $0) } + module.external
}

let settings: [SwiftSetting] = ["ExistentialAny", "MemberImportVisibility"].map { .enableUpcomingFeature($0) }

let package = Package(
  name: "DeepSeekOptimize",
  platforms: [.macOS(.v15)],
  products: [.library(name: "DeepSeekOptimize", targets: ["DeepSeekOptimize"])]
    + executables.map { .executable(name: $0, targets: [$0]) },
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .target(name: "CKernels"),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
  ]
    + modules.map {
      .target(name: $0.name, dependencies: dependencies(of: $0), resources: $0.resources, swiftSettings: settings)
    }
    + executables.map {
      .executableTarget(name: $0, dependencies: ["Commands"], swiftSettings: settings)
    },
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
