// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "DeepSeekOptimize", path: "..")],
  targets: [
    .target(name: "PeakLoops"),
    .executableTarget(
      name: "kernel-benchmark",
      dependencies: ["PeakLoops", .product(name: "CKernels", package: "DeepSeekOptimize")],
      swiftSettings: ["ExistentialAny", "MemberImportVisibility"].map { .enableUpcomingFeature($0) }),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
