import Foundation
import PackagePlugin

/// Lists the passes or the families that a target declares, in a source file of its own making, so that a new file registers itself.
@main
struct TypeList: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    guard let target = target as? any SourceModuleTarget else { return [] }
    let sources = target.sourceFiles(withSuffix: ".swift").map(\.url).sorted { $0.path < $1.path }
    let script = context.package.directoryURL.appending(path: "Scripts/list-types")
    let (kind, file) = target.name == "Architectures" ? ("families", "ArchitectureCatalog+Families") : ("passes", "PassCatalog+Passes")
    let output = context.pluginWorkDirectoryURL.appending(path: "\(file).swift")
    return [
      .buildCommand(
        displayName: "Listing \(kind) of \(target.name)", executable: URL(filePath: "/bin/sh"),
        arguments: [script.path, kind, output.path] + sources.map(\.path), inputFiles: [script] + sources, outputFiles: [output])
    ]
  }
}
