import Foundation
import Testing

@testable import Recipes

/// Files that ship are found from wherever the executable was put.
@Suite struct ToolResourcesTests {
  private let home: TemporaryDirectory

  init() throws { home = try TemporaryDirectory() }

  private var executable: URL { home.url.appendingPathComponent("prefix/bin/deepseek-optimize") }

  private func make(_ path: String) throws -> URL {
    let directory = home.url.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: directory.appendingPathComponent("Demo"), withIntermediateDirectories: true)
    return directory.resolvingSymlinksInPath()
  }

  private func found(for executable: URL) -> String { ToolResources.directory(for: executable).resolvingSymlinksInPath().path }

  @Test func anInstallationHasThemInItsShare() throws {
    let installed = try make("prefix/share/deepseek-optimize")
    #expect(found(for: executable) == installed.path)
  }

  @Test func whatABuildLeavesBesideTheExecutableGoesFirst() throws {
    _ = try make("prefix/share/deepseek-optimize")
    let built = try make("prefix/bin/DeepSeekOptimize_Recipes.resources")
    #expect(found(for: executable) == built.path)
  }

  /// A name in a folder of the search path leads to the executable, and from there to its files.
  @Test func linksAreFollowed() throws {
    let installed = try make("prefix/share/deepseek-optimize")
    try FileManager.default.createDirectory(at: executable.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data().write(to: executable)
    let link = home.url.appendingPathComponent("deepseek-quant")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: executable)
    #expect(found(for: link) == installed.path)
  }

  /// Nothing ends the process where they are missing: the place that is named is the one to install them in.
  @Test(.disabled(if: ToolResourcesTests.onDarwin)) func whereThereAreNoneTheirPlaceIsNamed() {
    let directory = ToolResources.directory(for: executable)
    #expect(directory.path.hasSuffix("prefix/share/deepseek-optimize"))
    #expect(!FileManager.default.fileExists(atPath: directory.path))
  }

  @Test func thoseOfThisBuildAreThere() throws {
    #expect(FileManager.default.fileExists(atPath: DemoModel.directory.appendingPathComponent("config.json").path))
    #expect(try !FinetunePreset.all().isEmpty)
  }

  private static var onDarwin: Bool {
    #if canImport(Darwin)
      true
    #else
      false
    #endif
  }
}
