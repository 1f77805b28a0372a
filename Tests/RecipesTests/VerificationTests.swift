import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// Outputs held against their reports.
@Suite struct VerificationTests {
  private let directory: TemporaryDirectory
  private var output: String { directory.path("out") }

  init() throws { directory = try TemporaryDirectory() }

  private func make(_ passes: [any CompressionPass] = [RoundToNearest(bits: 4)], format: OutputFormat = .compressedTensors) throws {
    var settings = RunSettings(output: URL(fileURLWithPath: output))
    settings.evaluation = nil
    settings.threads = 2
    _ = try CompressionRun(model: ModelBundle(opening: "demo"), recipe: Recipe(passes: passes, format: format), settings: settings)
      .execute()
  }

  private func url(_ name: String) -> URL { URL(fileURLWithPath: output).appendingPathComponent(name) }

  private func states(_ state: OutputVerification.State) throws -> [String] {
    try OutputVerification(of: output).files.filter { $0.state == state }.map(\.name)
  }

  /// Changes the report, and what it says of itself along with it, as somebody would who wants to deceive.
  private func changeReport(_ change: (inout CompressionReport) -> Void) throws {
    var report = try StoredReport.read(output)
    change(&report)
    if report.reportSHA256 != nil {
      report.reportSHA256 = String(repeating: "0", count: 64)
      var digest = ContentDigest()
      digest.update(report.json.text())
      report.reportSHA256 = digest.hexadecimal()
    }
    try Data(report.json.text().utf8).write(to: url("report.json"))
  }

  @Test(arguments: [
    OutputFormat.compressedTensors, .hdf5, .keras, .mlx, .gptq, .safetensors, .gguf,
  ])
  func everyFormatAgreesWithItsReport(_ format: OutputFormat) throws {
    var asymmetric = MinimumSquaredError(bits: 4, method: .asymmetric, groupSize: 64)
    asymmetric.targets.type = .affine
    switch format {
    case .mlx: try make([asymmetric], format: format)
    case .keras, .gguf: try make([], format: format)
    default: try make(format: format)
    }
    let verification = try OutputVerification(of: output)
    #expect(verification.isIntact && verification.caveats.isEmpty, "\(verification.summary)")
    let names = try FileManager.default.subpathsOfDirectory(atPath: output).filter { name in
      var isDirectory: ObjCBool = false
      return FileManager.default.fileExists(atPath: url(name).path, isDirectory: &isDirectory) && !isDirectory.boolValue
    }
    #expect(verification.files.map(\.name).sorted() == names.sorted())
    #expect(verification.files.allSatisfy { $0.sha256?.count == 64 && $0.sha256 == $0.expectedSHA256 && $0.bytes ?? 0 > 0 })
    let document = verification.json
    #expect(document["intact"]?.bool == true && document["files"]?.array?.count == names.count)
    #expect(try verification.reportDigest == FileDigest.hexadecimal(of: url("report.json")))
  }

  /// One bit of anything: of the length in front of the header, the header, the data, settings, tokenizer, card, page.
  @Test func everyFlippedBitIsFound() throws {
    try make()
    let names = try OutputVerification(of: output).files.map(\.name).filter { $0 != "report.json" }
    #expect(names.count == 8)
    for name in names {
      let original = try Data(contentsOf: url(name))
      for place in [0, 7, 8, 100, original.count / 2, original.count - 1] where place < original.count {
        var changed = original
        changed[place] ^= 1 << UInt8(place % 8)
        try changed.write(to: url(name))
        let verification = try OutputVerification(of: output)
        let altered = verification.files.filter { $0.state == .altered }.map(\.name)
        #expect(!verification.isIntact && altered == [name], "\(name) at \(place)")
      }
      try original.write(to: url(name))
    }
    #expect(try OutputVerification(of: output).isIntact)
  }

  /// A bit of every byte of the report: of figures, digests, names, brackets and blanks.
  @Test func everyFlippedBitOfTheReportIsFound() throws {
    try make()
    // A short one that stands alone, so that all of it can be tried.
    try changeReport { report in (report.layers, report.warnings) = (nil, ["a warning"]) }
    let original = try Data(contentsOf: url("report.json"))
    for name in try OutputVerification(of: output).files.map(\.name) where name != "report.json" {
      try FileManager.default.removeItem(at: url(name))
    }
    #expect(try states(.intact) == ["report.json"])
    for place in original.indices {
      var changed = original
      changed[place] ^= 1 << UInt8(place % 7)
      try changed.write(to: url("report.json"))
      do {
        let state = try OutputVerification(of: output).files.first?.state
        #expect(state == .altered, "\(place)")
      } catch let failure as any Failure {
        #expect(failure.kind == .badData, "\(failure)")
      }
    }
  }

  @Test func whatIsMissingCutOrAddedIsNamed() throws {
    try make()
    try FileManager.default.removeItem(at: url("tokenizer.json"))
    try Data("x".utf8).write(to: url("added.json"))
    try FileManager.default.createDirectory(at: url("more"), withIntermediateDirectories: false)
    try Data("x".utf8).write(to: url("more/added.py"))
    // What version control and desktops leave is nobody's input.
    try Data("x".utf8).write(to: url(".gitattributes"))
    let handle = try FileHandle(forWritingTo: url("model.safetensors"))
    try handle.truncate(atOffset: 1000)
    try handle.close()
    #expect(try states(.missing) == ["tokenizer.json"])
    #expect(try states(.unlisted) == ["added.json", "more/added.py"])
    #expect(try states(.size) == ["model.safetensors"])
    let verification = try OutputVerification(of: output)
    #expect(verification.modelProblem?.contains("model.safetensors") == true && !verification.isIntact)
    #expect(verification.summary.contains("model.safetensors has 1000 bytes instead of"))
  }

  /// A report is a file like any: what it names is opened only below the directory, and only when it is a file.
  @Test func aReportLeadsNowhereElse() throws {
    try make()
    try Data("secret".utf8).write(to: URL(fileURLWithPath: directory.path("secret")))
    try FileManager.default.createSymbolicLink(atPath: url("link").path, withDestinationPath: directory.path("secret"))
    try FileManager.default.createSymbolicLink(atPath: url("around").path, withDestinationPath: directory.path(""))
    #expect(mkfifo(url("pipe").path, 0o600) == 0)
    let names = ["../secret", directory.path("secret"), "a/../../secret", "", ".", "link", "around/secret", "pipe", "more//x", "x\0y"]
    try changeReport { report in
      report.files += names.map { .init(name: $0, bytes: 6, sha256: String(repeating: "a", count: 64)) }
      report.outputs.append(report.outputs[0])
    }
    let verification = try OutputVerification(of: output)
    let refused = verification.files.filter { $0.state == .refused }
    #expect(refused.map(\.name).sorted() == (names + ["model.safetensors"]).sorted())
    #expect(refused.allSatisfy { $0.sha256 == nil && $0.bytes == nil })
    #expect(!verification.isIntact && verification.modelProblem != nil)
  }

  /// A model may be wrong although every file is what was written.
  @Test func theModelIsOpened() throws {
    try make()
    let config = Data("{\"model_type\": \"nothing known\"}".utf8)
    try config.write(to: url("config.json"))
    var digest = ContentDigest()
    config.withUnsafeBytes { digest.update($0) }
    try changeReport { report in
      guard let index = report.files.firstIndex(where: { $0.name == "config.json" }) else { return }
      report.files[index] = .init(name: "config.json", bytes: config.count, sha256: digest.hexadecimal())
    }
    let verification = try OutputVerification(of: output)
    #expect(verification.files.allSatisfy { $0.state == .intact })
    #expect(!verification.isIntact && verification.summary.contains("the model cannot be opened"), "\(verification.summary)")
  }

  /// Of an earlier version: what has a digest is compared, and what has none is said.
  @Test func aReportWithDigestsOfWeightsAlone() throws {
    try make()
    try changeReport { report in (report.files, report.reportSHA256) = ([], nil) }
    let verification = try OutputVerification(of: output)
    #expect(verification.isIntact && verification.files.map(\.name) == ["report.json", "model.safetensors"])
    #expect(verification.caveats.count == 1 && verification.caveats[0].contains("7 other files"), "\(verification.caveats)")
    try changeReport { report in report.outputs[0].sha256 = nil }
    #expect(try states(.unknown) == ["model.safetensors"])
  }

  @Test func whatIsNoOutputIsSaid() throws {
    func kind(_ path: String) -> FailureKind? {
      do { _ = try OutputVerification(of: path) } catch { return (error as? any Failure)?.kind }
      return nil
    }
    #expect(kind(output) == .missingInput)
    try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: false)
    #expect(kind(output) == .missingInput)
    #expect(mkfifo(url("report.json").path, 0o600) == 0)
    #expect(kind(output) == .badData && kind(url("report.json").path) == .missingInput)
    try FileManager.default.removeItem(at: url("report.json"))
    try Data("{\"schema\": 1".utf8).write(to: url("report.json"))
    #expect(kind(output) == .badData)
  }
}
