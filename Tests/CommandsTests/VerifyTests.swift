import DeepSeekOptimize
import Foundation
import Testing

/// `verify` from outside.
@Suite struct VerifyTests {
  private func run(_ words: String..., in directory: URL) throws -> (status: Int32, output: String, error: String) {
    let process = try CommandProcess(words, in: directory)
    let status = process.wait()
    return (status, process.outputText, process.errorText)
  }

  @Test func damageEndsWithItsStatus() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("deepseek-optimize-verify-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    #expect(try run("deepseek-quant", "--no-eval", "--output", "out", "--quiet", in: directory).status == 0)

    let whole = try run("deepseek-optimize", "verify", "out", in: directory)
    #expect(whole.status == 0 && whole.error.isEmpty, "\(whole.error)")
    #expect(whole.output.contains("9 files agree with the report, and the model opens"), "\(whole.output)")

    let file = directory.appendingPathComponent("out/model.safetensors")
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count - 5] ^= 4
    try bytes.write(to: file)
    let damaged = try run("deepseek-optimize", "verify", "out", in: directory)
    #expect(damaged.status == 65 && damaged.error.hasPrefix("error: out: model.safetensors has another content; "), "\(damaged.error)")
    #expect(damaged.error.split(separator: "\n").count == 1 && damaged.output.contains("altered"))
    let json = try run("deepseek-optimize", "verify", "out", "--json", in: directory)
    let document = try JSONValue(parsing: json.output)
    #expect(json.status == 65 && document["intact"]?.bool == false)

    #expect(try run("deepseek-optimize", "verify", "none", in: directory).status == 66)
    #expect(try run("deepseek-optimize", "verify", in: directory).status == 64)
  }
}
