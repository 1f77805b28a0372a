// swift-tools-version: 6.2
import PackageDescription

// Built by Scripts/fuzz, with `--sanitize fuzzer --sanitize address`: the fuzzer brings the main function along.
let package = Package(
  name: "Fuzz",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "DeepSeekOptimize", path: "..")],
  targets: [
    .executableTarget(
      name: "fuzz",
      dependencies: [.product(name: "DeepSeekOptimize", package: "DeepSeekOptimize")],
      path: "Sources",
      // The package around this one builds them as a test.
      exclude: ["Replay"],
      sources: ["Targets", "Driver"],
      swiftSettings: ["ExistentialAny", "MemberImportVisibility"].map { .enableUpcomingFeature($0) })
  ],
  swiftLanguageModes: [.v6]
)
