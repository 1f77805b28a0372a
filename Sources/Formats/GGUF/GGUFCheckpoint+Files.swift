import Diagnostics
import Foundation

extension GGUFCheckpoint {
  /// The name of one of several files: `model-00002-of-00003.gguf`.
  struct PartName: Equatable {
    let stem: String
    /// From 1.
    let number: Int
    let count: Int

    init(stem: String, number: Int, count: Int) {
      self.stem = stem
      self.number = number
      self.count = count
    }

    init?(_ fileName: String) {
      guard fileName.hasSuffix(".gguf") else { return nil }
      let fields = fileName.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
      guard fields.count >= 4, fields[fields.count - 2] == "of" else { return nil }
      func parsed(_ field: Substring) -> Int? {
        field.utf8.count >= 5 && field.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(field) : nil
      }
      guard let number = parsed(fields[fields.count - 3]), let count = parsed(fields[fields.count - 1]), number >= 1, number <= count
      else { return nil }
      self.init(stem: fields.dropLast(3).joined(separator: "-"), number: number, count: count)
    }

    var text: String {
      func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
      }
      return "\(stem)-\(padded(number))-of-\(padded(count)).gguf"
    }
  }

  /// llama.cpp counts files in 16 bits.
  private static let partLimit = 65535

  /// The files of a checkpoint in order.
  static func open(_ location: URL, _ extent: CheckpointExtent) throws(CheckpointError) -> [GGUFFile] {
    var status = stat()
    guard stat(location.path, &status) == 0 else { throw CheckpointError.missingFile(location) }
    let isDirectory = status.st_mode & S_IFMT == S_IFDIR
    let file = isDirectory ? try onlyModel(in: location) : location
    let opened = try GGUFFile(file, extent: extent)
    let count = opened.metadata.integer("split.count") ?? 1
    guard count > 1 else { return [opened] }
    guard let name = PartName(file.lastPathComponent), name.count == count, count <= partLimit else {
      throw CheckpointError.malformed(
        file: file, "it is one of \(count) files, and its name does not end in -00001-of-0000N.gguf with that number",
        remedy: "give the files the names that they were published under")
    }
    let directory = try CheckpointDirectory(file.deletingLastPathComponent())
    var parts: [GGUFFile] = []
    for number in 1...count {
      let part = PartName(stem: name.stem, number: number, count: count)
      if part.number == name.number {
        parts.append(opened)
      } else {
        guard directory.contains(part.text) else {
          throw CheckpointError(
            kind: .missingInput, subject: file.relativePath, problem: "the file \"\(part.text)\" that belongs to it is missing",
            remedy: "fetch that file too")
        }
        parts.append(try GGUFFile(directory.file(part.text), extent: extent))
      }
      try check(parts[number - 1], number, of: count)
    }
    let total = parts.reduce(0) { $0 + $1.tensors.count }
    if let wanted = parts[0].metadata.integer("split.tensors.count"), wanted != total {
      throw CheckpointError.malformed(
        file: file, "its files hold \(total) tensors together, not the \(wanted) that they should", remedy: "fetch them again")
    }
    return parts
  }

  private static func check(_ part: GGUFFile, _ number: Int, of count: Int) throws(CheckpointError) {
    guard part.metadata.integer("split.no") == number - 1, part.metadata.integer("split.count") == count else {
      throw CheckpointError.malformed(
        file: part.file, "its \"split.no\" and \"split.count\" do not say that it is file \(number) of \(count)",
        remedy: "give the files the names that they were published under")
    }
  }

  /// The only `.gguf` file of a directory, or the first of the only set of them.
  private static func onlyModel(in location: URL) throws(CheckpointError) -> URL {
    let directory = try CheckpointDirectory(location)
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: location.path).sorted() else {
      throw CheckpointError.inputOutput(file: location, "its entries cannot be listed")
    }
    let models = names.filter { $0.hasSuffix(".gguf") && !$0.hasPrefix(".") }
    let first = models.filter { (PartName($0)?.number ?? 1) == 1 }
    if let name = first.first, first.count == 1 { return try directory.file(name) }
    let list = models.prefix(6).map(CheckpointError.shortened).joined(separator: ", ") + (models.count > 6 ? " …" : "")
    throw CheckpointError(
      kind: .missingInput, subject: location.relativePath,
      problem: models.isEmpty ? "no .gguf file in it" : "\(models.count) .gguf files (\(list))", remedy: "name one of the files")
  }
}
