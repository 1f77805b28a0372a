// swift-tools-version: 6.2
import PackageDescription

/// One directory of Sources/ each, with one file.
let examples = [
  "quantize-and-compare", "sweep-bits", "gptq-overrides", "kl-budget", "prune-distill-quantize", "lora-and-merge", "custom-pass",
  "custom-family",
]

let package = Package(
  name: "Examples",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "DeepSeekOptimize", path: "..")],
  targets: examples.map {
    .executableTarget(
      name: $0,
      dependencies: [.product(name: "DeepSeekOptimize", package: "DeepSeekOptimize")],
      swiftSettings: ["ExistentialAny", "MemberImportVisibility"].map { .enableUpcomingFeature($0) })
  },
  swiftLanguageModes: [.v6]
)
