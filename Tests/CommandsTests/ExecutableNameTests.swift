import Commands
import Foundation
import Testing

/// One executable answers to the names of all: a release ships one file, and links to it.
@Suite struct ExecutableNameTests {
  @Test(arguments: [
    ("deepseek-quant", "QuantCommand"), ("/usr/bin/deepseek-quant", "QuantCommand"), ("./deepseek-finetune", "FinetuneCommand"),
    ("deepseek-optimize", "OptimizeCommand"), ("another-name", "OptimizeCommand"), ("", "OptimizeCommand"), ("/", "OptimizeCommand"),
    ("deepseek-quant/deepseek-optimize", "OptimizeCommand"),
  ])
  func theNameChoosesTheCommand(name: String, command: String) {
    #expect(String(describing: EntryPoint.command(named: name)) == command)
  }

  @Test(arguments: ["deepseek-quant", "deepseek-finetune"]) func aLinkIsTheCommandOfItsName(name: String) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("deepseek-optimize-names-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let link = directory.appendingPathComponent(name)
    let executable = CommandProcess.products.appendingPathComponent("deepseek-optimize")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: executable)
    let process = Process()
    process.executableURL = link
    process.arguments = ["--help"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let help = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(help.contains("USAGE: \(name)"), "\(help)")
  }
}
