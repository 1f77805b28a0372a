import DeepSeekOptimize
import Foundation
import Testing

/// Every seed of the fuzzer, and every input that once broke something: each is opened, or refused in words.
@Suite struct CorpusTests {
  @Test(arguments: FuzzTargets.all.map { $0.name })
  func everyInputIsOpenedOrRefused(name: String) throws {
    let type = try #require(FuzzTargets.named(name))
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("fuzz-\(name)-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    let run = try FuzzRun(type, in: directory)
    let seeds = try Corpus.seeds(of: name)
    var opened = 0
    for file in try seeds + Corpus.cases(of: name) {
      let input = try Data(contentsOf: file)
      let clock = ContinuousClock()
      var outcome = FuzzRun.Outcome.opened
      let time = clock.measure { outcome = input.withUnsafeBytes { run($0) } }
      switch outcome {
      case .opened: opened += 1
      case .refused: break
      case .broken(let complaint): Issue.record("\(file.lastPathComponent): \(complaint)")
      }
      #expect(time < .seconds(10), "\(file.lastPathComponent) took \(time)")
    }
    // A target that refuses all it starts from would find nothing behind the first check.
    #expect(!seeds.isEmpty)
    #expect(opened > 0)
  }

  /// What the fuzzer runs is what is replayed: no folder without a target, no case that lies elsewhere.
  @Test(arguments: ["Seeds", "Cases"])
  func everyFolderHasItsTarget(folder: String) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Repository.file("Fuzz/\(folder)").path)
    for name in names where !name.hasPrefix(".") {
      let type = FuzzTargets.named(name)
      #expect(type != nil, "Fuzz/\(folder)/\(name)")
    }
  }
}

/// The inputs in the tree.
enum Corpus {
  /// `Fuzz/Seeds/TARGET`, and the tests' fixtures that `Fuzz/seeds.txt` lists: a target and a pattern of paths in each line.
  static func seeds(of name: String) throws -> [URL] {
    let lines = try String(contentsOf: Repository.file("Fuzz/seeds.txt"), encoding: .utf8).split(separator: "\n")
    let patterns = lines.map { $0.split(separator: " ", maxSplits: 1) }.filter { $0.count == 2 && $0[0] == name }
    return try files(in: "Fuzz/Seeds/\(name)") + patterns.flatMap { matches(of: String($0[1])) }
  }

  /// What once broke something.
  static func cases(of name: String) throws -> [URL] { try files(in: "Fuzz/Cases/\(name)") }

  private static func files(in folder: String) throws -> [URL] {
    let directory = Repository.file(folder)
    guard FileManager.default.fileExists(atPath: directory.path) else { return [] }
    return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
      .filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
  }

  /// The files that a pattern of the shell means.
  private static func matches(of pattern: String) -> [URL] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(Repository.file(pattern).path, 0, nil, &found) == 0 else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { URL(fileURLWithPath: String(cString: $0)) } }
  }
}
