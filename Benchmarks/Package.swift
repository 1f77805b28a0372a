// swift-tools-version: 6.2
import PackageDescription

let features = ["ExistentialAny", "MemberImportVisibility"].map { SwiftSetting.enableUpcomingFeature($0) }

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "DeepSeekOptimize", path: "..")],
  targets: [
    .target(name: "PeakLoops"),
    .executableTarget(
      name: "kernel-benchmark",
      dependencies: ["PeakLoops", .product(name: "CKernels", package: "DeepSeekOptimize")],
      swiftSettings: features),
    .executableTarget(
      name: "random-llama",
      dependencies: [
        .product(name: "CKernels", package: "DeepSeekOptimize"), .product(name: "DeepSeekOptimize", package: "DeepSeekOptimize"),
      ],
      swiftSettings: features),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
