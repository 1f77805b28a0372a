import Architectures
import Diagnostics
import Formats
import Foundation
import Reporting
import StructuredData

/// An output held against its own report: every file by size and SHA-256, the report by its seal, and the model by opening it.
///
/// That finds damage: bits that a disk or a copy has changed, files that are gone, cut, or were added. It does not find out who wrote an output, for
/// whoever changes one on purpose can write a report that agrees with it.
public struct OutputVerification: Sendable {
  /// How a file compares with the report.
  public enum State: String, Sendable, CaseIterable {
    case intact
    case missing
    /// It has another size; then it is not read.
    case size
    /// It has the size, and another content.
    case altered
    /// The report does not list it.
    case unlisted
    /// The report lists it without a digest.
    case unknown
    /// It is not a regular file in the directory; then it is not opened.
    case refused
  }

  public struct File: Sendable, Equatable {
    public let name: String
    public let state: State
    public internal(set) var bytes: Int?
    public internal(set) var expectedBytes: Int?
    public internal(set) var sha256: String?
    public internal(set) var expectedSHA256: String?
    /// What is the matter, for a person.
    public internal(set) var note = ""
  }

  public let directory: URL
  /// The report first, then every file that it lists in its order, then those that it does not.
  public let files: [File]
  /// SHA-256 of the whole of `report.json`: who notes it elsewhere knows all of an output by it.
  public let reportDigest: String
  /// Why the model, or the adapter, cannot be opened; nil where it was.
  public let modelProblem: String?
  /// What the report does not hold, being of an earlier version.
  public let caveats: [String]

  public var isIntact: Bool { modelProblem == nil && files.allSatisfy { $0.state == .intact } }

  /// Compares.
  /// - Parameters:
  ///   - path: an output of a run: a directory.
  ///   - families: families of the program's own, which models may be of.
  /// - Throws: a `Failure` when there is no output, its report cannot be understood, or reading fails midway. Files that do not agree do not throw.
  public init(of path: String, families: [any Architecture.Type] = [], progress: ProgressHandler? = nil) throws {
    directory = URL(fileURLWithPath: path)
    let report = try Self.report(in: directory)
    reportDigest = report.digest
    let listed = report.content.outputs + report.content.files
    let place = try Place(directory)
    let found = try OutputContents.names(in: directory)

    var files = [report.file]
    // Where digests of the other files are missing altogether, none of these can be judged.
    let isSealed = report.content.reportSHA256 != nil || !report.content.files.isEmpty
    var known: Set<[UInt8]> = [Array("report.json".utf8)]
    let meter = WorkMeter("Reading the files", costs: listed.map { Double(max(1, $0.bytes ?? 1)) }, progress: progress)
    for (index, entry) in listed.enumerated() {
      try Interruption.check()
      meter.begin(index)
      guard known.insert(Array(entry.name.utf8)).inserted else {
        files.append(File(name: entry.name, state: .refused, note: "the report lists it twice"))
        continue
      }
      files.append(try meter.measure { try place.compare(entry) })
    }
    meter.finish()
    let others = found.filter { !known.contains(Array($0.utf8)) }
    if isSealed { files += others.map { File(name: $0, state: .unlisted, note: "is not in the report") } }
    self.files = files
    caveats =
      isSealed
      ? [] : ["the report is of an earlier version: it has digests of the weights alone, none of itself and of \(others.count) other files"]

    // A file that is not what it seems is not opened.
    modelProblem = files.contains { $0.state == .refused } ? "was not opened" : Self.opening(directory, families)
  }

  /// Reads and checks headers, as a run that begins with this model would.
  private static func opening(_ directory: URL, _ families: [any Architecture.Type]) -> String? {
    do {
      let isAdapter = ["adapter_config.json", "adapters.safetensors"].contains {
        access(directory.appendingPathComponent($0).path, F_OK) == 0
      }
      if isAdapter { _ = try AdapterCheckpoint(directory) } else { _ = try ModelBundle(opening: directory.path, families: families) }
      return nil
    } catch { return (error as? any Failure)?.description ?? "\(error)" }
  }

  /// The report, with what it says of itself.
  private static func report(in directory: URL) throws -> (content: CompressionReport, file: File, digest: String) {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory) else {
      throw RecipeError(directory.path, "there is no such directory", remedy: "give the output of a run", kind: .missingInput)
    }
    let file = directory.appendingPathComponent("report.json")
    guard isDirectory.boolValue else {
      throw RecipeError(directory.path, "is not a directory", remedy: "give the output of a run", kind: .missingInput)
    }
    var status = stat()
    guard lstat(file.path, &status) == 0 else {
      throw RecipeError(
        directory.path, "has no report.json, which the files would be compared with", remedy: "give the output of a run",
        kind: .missingInput)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw RecipeError(file.path, "is not a regular file", remedy: "give an output as it was written", kind: .badData)
    }
    let bytes = try TextFile.data(file, limit: JSONFile.limit)
    let content = try StoredReport.decode(bytes, of: file)
    let expected = ReportSeal.expected(of: bytes)
    let state: State
    switch content.reportSHA256 {
    case let seal?: state = seal == expected ? .intact : .altered
    case nil: state = content.files.isEmpty ? .intact : .altered
    }
    let entry = File(
      name: "report.json", state: state, bytes: bytes.count, sha256: expected, expectedSHA256: content.reportSHA256,
      note: state == .intact ? "" : "its own digest does not agree")
    return (content, entry, FileDigest.hexadecimal(of: bytes))
  }
}

/// The directory that files must lie in, or in the store of a cache that it belongs to.
private struct Place {
  private let directory: CheckpointDirectory

  init(_ directory: URL) throws { self.directory = try CheckpointDirectory(directory) }

  /// Compares one file with what the report says of it.
  func compare(_ entry: CompressionReport.OutputFile) throws -> OutputVerification.File {
    func result(_ state: OutputVerification.State, _ note: String, bytes: Int? = nil, sha256: String? = nil) -> OutputVerification.File {
      .init(
        name: entry.name, state: state, bytes: bytes, expectedBytes: entry.bytes, sha256: sha256, expectedSHA256: entry.sha256, note: note)
    }
    let parts = entry.name.split(separator: "/", omittingEmptySubsequences: false)
    guard !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }), !entry.name.utf8.contains(0) else {
      return result(.refused, "its name does not lead to a file in the directory")
    }
    let file: URL
    do throws(CheckpointError) { file = try directory.file(entry.name) } catch {
      if error.kind == .missingInput { return result(.missing, "is missing") }
      guard error.kind == .badData else { throw error }
      return result(.refused, "is a link that leads out of the directory")
    }
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let handle = open(file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard handle >= 0 else { throw failure(file) }
    let opened = FileHandle(fileDescriptor: handle, closeOnDealloc: true)
    var status = stat()
    guard fstat(handle, &status) == 0 else { throw failure(file) }
    guard status.st_mode & S_IFMT == S_IFREG else { return result(.refused, "is not a regular file") }
    let bytes = Int(status.st_size)
    if let expected = entry.bytes, expected != bytes { return result(.size, "has \(bytes) bytes instead of \(expected)", bytes: bytes) }
    guard let expected = entry.sha256 else { return result(.unknown, "has no digest in the report", bytes: bytes) }
    let digest = try FileDigest.hexadecimal(of: opened, named: file)
    return digest == expected
      ? result(.intact, "", bytes: bytes, sha256: digest) : result(.altered, "has another content", bytes: bytes, sha256: digest)
  }

  private func failure(_ file: URL) -> RecipeError {
    RecipeError(
      file.path, "cannot be read: \(String(cString: strerror(errno)))", remedy: "check the disk and its permissions", kind: .inputOutput)
  }
}
