import DeepSeekOptimize
import Foundation
import Testing

/// Runs with several processes, here threads, whose outputs are held against one process's.
final class GroupBench {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A small mixture of experts, some of which get no rows.
  func mixture(factors: [String: Float] = [:]) throws -> String {
    let model = directory.path("mixture")
    try MixtureModel.write(to: URL(fileURLWithPath: model), factors: factors)
    return model
  }

  func place(_ count: Int) -> URL { URL(fileURLWithPath: directory.path("out\(count)")) }

  /// Every file of an output but its report, which tells times.
  func files(_ output: URL) throws -> [String: Data] {
    let all = FileManager.default.enumerator(at: output, includingPropertiesForKeys: [.isRegularFileKey])?.compactMap { $0 as? URL } ?? []
    return try all.filter { !$0.lastPathComponent.hasPrefix("report.") && !$0.hasDirectoryPath }.reduce(into: [:]) {
      $0[String($1.path.dropFirst(output.path.count))] = try Data(contentsOf: $1)
    }
  }

  /// Figures of time, and digests of what tells them.
  private static let times: Set = ["resources", "speed", "seconds", "tokensPerSecond", "reportSHA256", "files"]

  static func timeless(_ value: JSONValue) -> JSONValue {
    if let object = value.object {
      var result = JSONObject()
      for member in object.members where !times.contains(member.key) { result[member.key] = timeless(member.value) }
      return .object(result)
    }
    return value.array.map { .array($0.map(timeless)) } ?? value
  }

  /// What a run does with a group of processes: it writes to the place, and returns the report.
  typealias Run = @Sendable (ProcessGroup, URL) throws -> CompressionReport

  /// Runs with one process and with these numbers of them.
  func expectSame(_ counts: [Int] = [2, 3, 4], _ run: @escaping Run) throws {
    var expected: (report: JSONValue, files: [String: Data])?
    for count in [1] + counts {
      let output = place(count)
      let reports = try LocalTransport.run(count) { try run($0, output) }
      let found = (report: Self.timeless(reports[0].json), files: try files(output))
      guard let expected else {
        expected = found
        #expect(found.files.count > 2)
        continue
      }
      #expect(found.report == expected.report, "\(count) processes")
      #expect(found.files.keys.sorted() == expected.files.keys.sorted(), "\(count) processes")
      for (name, bytes) in found.files { #expect(bytes == expected.files[name], "\(name), \(count) processes") }
    }
    let outputs = ([1] + counts).map { "out\($0)" }
    #expect(directory.contents.filter { $0.hasPrefix("out") || $0.hasPrefix(".") } == outputs)
  }

  /// The same of a run of passes.
  /// - Parameter change: of the settings that all of them run with.
  func expectSame(
    _ passes: [any CompressionPass], model: String = "demo", calibrated: Bool = true, counts: [Int] = [2, 3, 4],
    _ change: @escaping @Sendable (inout RunSettings) -> Void = { _ in }
  ) throws {
    try expectSame(counts) { group, output in
      let calibration = CalibrationPlan(text: "demo", samples: 20, sequenceLength: 256)
      var settings = Self.settings(output, group)
      change(&settings)
      return try CompressionRun(
        model: ModelBundle(opening: model), recipe: Recipe(passes: passes, calibration: calibrated ? calibration : nil), settings: settings
      ).execute()
    }
  }

  static func settings(_ output: URL, _ group: ProcessGroup) -> RunSettings {
    var settings = RunSettings(output: output)
    settings.evaluation = EvaluationSettings(context: 128, tokens: 2048)
    settings.evaluation?.batchSize = 2
    settings.evaluation?.measuresSpeed = false
    settings.threads = 1
    settings.group = group
    return settings
  }
}
