import Foundation
import PackagePlugin

/// Lists the passes that a target declares in a source file of its own making, so that a new file registers itself.
@main
struct PassList: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    guard let target = target as? any SourceModuleTarget else { return [] }
    let sources = target.sourceFiles(withSuffix: ".swift").map(\.url).sorted { $0.path < $1.path }
    let script = context.package.directoryURL.appending(path: "Scripts/list-passes")
    let output = context.pluginWorkDirectoryURL.appending(path: "PassCatalog+Passes.swift")
    return [
      .buildCommand(
        displayName: "Listing passes of \(target.name)", executable: URL(filePath: "/bin/sh"),
        arguments: [script.path, output.path] + sources.map(\.path), inputFiles: [script] + sources, outputFiles: [output])
    ]
  }
}
