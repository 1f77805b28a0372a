import Diagnostics
import Foundation
import StructuredData

/// A file of training data: `.jsonl` with a record in every line that is not blank, the kinds mixed at will, or anything else as plain
/// UTF-8 text, which is one document.
public struct TrainingFile: Sendable {
  public let file: URL

  public init(_ file: URL) { self.file = file }

  /// Reads all examples.
  public func examples(using encoder: ExampleEncoder) throws -> (examples: [TrainingExample], statistics: TrainingDataStatistics) {
    var examples: [TrainingExample] = []
    let statistics = try forEachExample(using: encoder) { examples.append($0) }
    return (examples, statistics)
  }

  /// Hands out the examples one after another, in the file's order; only a line or a piece of text is in memory at a time.
  ///
  /// Throws when there is no such file, when a line is malformed or its conversation cannot be rendered (naming file and line), and when
  /// nothing to learn is in it.
  public func forEachExample(
    using encoder: ExampleEncoder, _ body: (TrainingExample) throws -> Void
  ) throws -> TrainingDataStatistics {
    var statistics = TrainingDataStatistics()
    var lines = try TextLines(file)
    defer { lines.close() }
    switch file.pathExtension.lowercased() {
    case "jsonl": try readRecords(&lines, encoder, &statistics, body)
    case "json":
      throw TrainingError(
        file.path, "is one JSON document, not a text", remedy: "give plain text, or a .jsonl file with a JSON object in every line",
        kind: .usage)
    default: try readText(&lines, encoder, &statistics, body)
    }
    guard statistics.examples > 0 else {
      throw TrainingError(
        file.path, statistics.dropped > 0 ? "has nothing to learn in any of its \(statistics.dropped) examples" : "is empty",
        remedy: "give texts, completions or answers to train on")
    }
    return statistics
  }

  private func readRecords(
    _ lines: inout TextLines, _ encoder: ExampleEncoder, _ statistics: inout TrainingDataStatistics,
    _ body: (TrainingExample) throws -> Void
  ) throws {
    while let line = try lines.next() {
      try Interruption.check()
      if TextLines.isBlank(line) { continue }
      let value: JSONValue
      do {
        value = try line.withUnsafeBytes { bytes throws(JSONError) in try JSONValue(parsing: bytes) }
      } catch let error as JSONError {
        throw TrainingError(lines.place, "is not JSON: \(error.problem)")
      }
      let record: TrainingRecord
      do throws(TrainingRecord.Malformed) { record = try TrainingRecord(value) } catch {
        throw TrainingError(lines.place, error.problem, remedy: error.remedy)
      }
      do {
        for example in try encoder.encode(record, counting: &statistics) { try body(example) }
      } catch let error as ExampleEncoder.Unusable {
        throw TrainingError(lines.place, error.problem, remedy: error.remedy)
      }
    }
  }

  /// Plain text is tokenized by the megabyte, cut where a line begins.
  private func readText(
    _ lines: inout TextLines, _ encoder: ExampleEncoder, _ statistics: inout TrainingDataStatistics,
    _ body: (TrainingExample) throws -> Void
  ) throws {
    var stream = TextStream(encoder: encoder)
    var piece = ""
    var isBlank = true
    while let line = try lines.next() {
      try Interruption.check()
      guard let text = String(validating: line, as: UTF8.self) else {
        throw TrainingError(lines.place, "is not UTF-8 text", remedy: "convert the file to UTF-8")
      }
      if isBlank { isBlank = TextLines.isBlank(line) }
      if piece.utf8.count + text.utf8.count > Self.pieceSize, !piece.isEmpty {
        for example in stream.append(piece, counting: &statistics) { try body(example) }
        piece = ""
      }
      piece += text
    }
    if isBlank { return }
    for example in stream.append(piece, counting: &statistics) { try body(example) }
    for example in stream.finish(counting: &statistics) { try body(example) }
  }

  private static let pieceSize = 1 << 20
}
