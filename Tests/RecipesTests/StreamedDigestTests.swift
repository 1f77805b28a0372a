import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

@Suite struct StreamedDigestTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func file(_ name: String, _ count: Int, seed: UInt64) throws -> URL {
    let file = directory.url.appendingPathComponent(name)
    var random = SeededRandom(seed: seed)
    try Data((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }).write(to: file)
    return file
  }

  /// A file's end is taken alone: two files are digested side by side only from the starts of blocks.
  @Test func anEndLeavesTheOtherFileAtABlock() {
    var (first, second) = (1_000_003, 3_000_017)
    var (alone, together) = (0, 0)
    while first + second > 0 {
      let counts = StreamedDigests.counts(min(first, 1 << 19), min(second, 1 << 19))
      #expect(counts.first > 0 || counts.second > 0)
      if counts.first > 0, counts.second > 0 {
        #expect(counts.first == counts.second && counts.first % 64 == 0)
        together += counts.first
      } else {
        alone += counts.first + counts.second
      }
      first -= counts.first
      second -= counts.second
    }
    #expect(together == 1_000_000 / 64 * 64 && alone == 1_000_003 + 3_000_017 - 2 * together)
  }

  /// Inputs of odd sizes, outputs written in pieces out of order: the digests that reading each file alone gives.
  @Test func areThoseOfTheFiles() throws {
    let inputs = try [file("a", 3_000_001, seed: 1), file("b", 63, seed: 2), file("c", 700_000, seed: 3)]
    let output = try file("partial", 2_000_003, seed: 4)
    let name = directory.url.appendingPathComponent("out")
    let digests = StreamedDigests(of: inputs)
    digests.began(name, at: output)
    for range in [37..<1_000_000, 0..<37, 1_500_000..<2_000_003, 1_000_000..<1_500_000] {
      digests.wrote(range, of: name)
      Thread.sleep(forTimeInterval: 0.002)
    }
    let found = digests.finish()
    #expect(found.count == 4)
    for input in inputs { #expect(try found[input] == FileDigest.hexadecimal(of: input)) }
    #expect(try found[name] == FileDigest.hexadecimal(of: output))
  }

  /// What is not there, or never wholly written, has no digest and keeps nobody waiting.
  @Test func missingFilesEndWithoutADigest() throws {
    let there = try file("there", 1000, seed: 5)
    let digests = StreamedDigests(of: [directory.url.appendingPathComponent("absent"), there])
    let name = directory.url.appendingPathComponent("out")
    digests.began(name, at: there)
    digests.wrote(0..<500, of: name)
    let found = digests.finish()
    #expect(Array(found.keys) == [there])
    StreamedDigests(of: [there]).cancel()
  }

  /// One thread reads the files at the end, two do meanwhile: the same report.
  @Test func threadsDoNotChangeDigests() throws {
    func run(_ threads: Int) throws -> CompressionReport {
      var settings = RunSettings(output: directory.url.appendingPathComponent("out-\(threads)"))
      settings.evaluation = nil
      settings.threads = threads
      return try CompressionRun(
        model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [RoundToNearest(bits: 8)]), settings: settings
      ).execute()
    }
    let (one, two) = (try run(1), try run(2))
    #expect(one.inputs == two.inputs && one.outputs == two.outputs)
    #expect(try two.outputs.first?.sha256 == FileDigest.hexadecimal(of: directory.url.appendingPathComponent("out-2/model.safetensors")))
    #expect(one.inputs?.modelSHA256?.count == 64)
  }

  /// A checkpoint's own way to a digest is that of the weight it gives.
  @Test(arguments: [8, 4])
  func sourcesGiveTheDigestOfWhatTheyLoad(_ bits: Int) throws {
    var settings = RunSettings(output: directory.url.appendingPathComponent("q"))
    settings.evaluation = nil
    _ = try CompressionRun(
      model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [RoundToNearest(bits: bits)]), settings: settings
    ).execute()
    let weights = try ModelBundle(opening: directory.path("q")).weights
    for name in weights.names { #expect(try weights.digest(name) == weights.load(name).digest(), "\(name)") }
  }
}
