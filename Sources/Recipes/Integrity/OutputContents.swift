import Diagnostics
import Foundation
import Reporting

/// The files of an output, by their names below it: `config.json`, `base/model.safetensors`.
enum OutputContents {
  /// Every file below a directory, and every link; nothing whose name, or the name of a directory around it, begins with a dot, for no program reads
  /// that as a part of a model. Sorted by the bytes of the names.
  static func names(in directory: URL) throws -> [String] {
    var (names, waiting) = ([String](), [""])
    while let parent = waiting.popLast() {
      let place = parent.isEmpty ? directory.path : directory.appendingPathComponent(parent).path
      let items: [String]
      do { items = try FileManager.default.contentsOfDirectory(atPath: place) } catch {
        throw RecipeError(place, "cannot be read", remedy: "check the disk and its permissions", kind: .inputOutput)
      }
      for item in items where !item.hasPrefix(".") {
        let name = parent.isEmpty ? item : parent + "/" + item
        var status = stat()
        guard lstat(directory.path + "/" + name, &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR { waiting.append(name) } else { names.append(name) }
      }
    }
    return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }
}

extension OutputDirectory {
  /// What runs keep in an unfinished output to go on from, and take away before it gets its name.
  private static let workingNames = [RunJournal.fileName, StageJournal.fileName, FinetuneRun.stateName]
  private static let workingPrefixes = [
    RunJournal.activationPrefix, StageJournal.prefix, QuantizationTraining.prefix, DistillationJournal.prefix, FinetuneLoop.bestPrefix,
  ]

  private static func isWorking(_ name: String) -> Bool {
    let first = name.prefix { $0 != "/" }
    return workingPrefixes.contains { first.hasPrefix($0) }
      || workingNames.contains { first == $0 || first == $0 + temporarySuffix || first == $0 + ".old" }
  }

  /// Every file of the output beside `weights` and the report itself, with size and digest.
  func companionFiles(besides weights: [CompressionReport.OutputFile]) throws -> [CompressionReport.OutputFile] {
    let known = Set(weights.map { Array($0.name.utf8) } + [Array("report.json".utf8)])
    return try OutputContents.names(in: partial).filter { !known.contains(Array($0.utf8)) && !Self.isWorking($0) }.map { name in
      let size = try FileManager.default.attributesOfItem(atPath: file(name).path)[.size] as? Int
      return .init(name: name, bytes: size, sha256: try FileDigest.hexadecimal(of: file(name)))
    }
  }
}
