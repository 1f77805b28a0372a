import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Formats

@Suite struct MappedFileTests {
  #if os(macOS) || os(Linux)
    /// A page that is gone ends the process with the status of an input/output failure, and a line that names the file.
    @Test func aFileThatIsCutShortIsNamed() async throws {
      let result = await #expect(
        processExitsWith: .exitCode(FailureKind.inputOutput.rawValue), observing: [\.standardErrorContent]
      ) {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("deepseek-optimize-cut-\(UUID().uuidString).bin")
        try Data(count: 1 << 20).write(to: file)
        let mapping = try MappedFile(file)
        let other = try MappedFile(file)
        MappedRanges.reportFaults()
        truncate(file.path, 4096)
        unlink(file.path)
        let sum = mapping.bytes[100] + other.bytes[100] + mapping.bytes[1 << 19]
        exit(Int32(sum))
      }
      let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      let lines = text.split(separator: "\n").filter { $0.hasPrefix("error: ") }
      #expect(lines.count == 1, "\(text)")
      #expect(text.contains("deepseek-optimize-cut-") && text.contains(": cannot be read any more: it was cut short"), "\(text)")
    }
  #endif
}
