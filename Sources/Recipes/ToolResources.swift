import Foundation

/// Where the files that ship with the program are: the demo model, its texts, the recipes, the presets.
///
/// `Bundle.module` knows the executable's folder and the path of the build, and ends the process where neither has them. A program that was
/// installed has them elsewhere, and one that was installed badly has to say so.
package enum ToolResources {
  /// What `make install` calls their folder in `share`.
  static let installedName = "deepseek-optimize"

  package static let directory = directory(for: Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0]))

  package static func url(_ path: String) -> URL { directory.appendingPathComponent(path) }

  /// Beside the executable, where a build leaves them; in `share` beside its `bin`, where an installation does. Links are followed first: the
  /// names of one executable may lie anywhere.
  /// - Returns: the first that is there; without any, the last, so that what opens a file of it can name what is missing.
  static func directory(for executable: URL) -> URL {
    let folder = executable.resolvingSymlinksInPath().deletingLastPathComponent()
    let bundle = folder.appendingPathComponent("DeepSeekOptimize_Recipes")
    var places = [bundle.appendingPathExtension("resources"), bundle.appendingPathExtension("bundle")]
    #if canImport(Darwin)
      // Xcode's bundles keep files in a folder of their own, and its test runner is no executable of ours.
      places.append(bundle.appendingPathExtension("bundle").appendingPathComponent("Contents/Resources"))
    #endif
    let installed = folder.deletingLastPathComponent().appendingPathComponent("share").appendingPathComponent(installedName)
    places.append(installed)
    if let place = places.first(where: { FileManager.default.fileExists(atPath: $0.appendingPathComponent("Demo").path) }) { return place }
    #if canImport(Darwin)
      return Bundle.module.resourceURL ?? Bundle.module.bundleURL
    #else
      return installed
    #endif
  }
}
