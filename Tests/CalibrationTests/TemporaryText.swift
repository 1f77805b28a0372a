import Foundation

/// A text file that is deleted with its test.
final class TemporaryText {
  let file: URL

  convenience init(_ text: String, ending: String = "txt") throws { try self.init(bytes: Array(text.utf8), ending: ending) }

  init(bytes: [UInt8], ending: String = "txt") throws {
    file = FileManager.default.temporaryDirectory.appendingPathComponent("deepseek-optimize-calibration-\(UUID().uuidString).\(ending)")
    try Data(bytes).write(to: file)
  }

  deinit { try? FileManager.default.removeItem(at: file) }
}

/// A byte is a token: enough of a tokenizer to see which text a window holds.
func byteTokens(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }

/// The text of a window of byte tokens.
func text(of window: [Int32]) -> String { String(decoding: window.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self) }
