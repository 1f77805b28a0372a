import DeepSeekOptimize
import Foundation

/// A kind of file that comes from outside, and what a command does with it.
///
/// The fuzzer and the tests that replay its corpus run the same targets.
protocol FuzzTarget: Sendable {
  static var name: String { get }
  /// - Parameter directory: an empty directory of its own.
  init(in directory: URL) throws
  /// Opens the file that these bytes are, as a command would, and reads what a command reads of it.
  func open(_ input: UnsafeRawBufferPointer) throws
}

enum FuzzTargets {
  /// Every target, by the names of the folders of Seeds and Cases.
  static var all: [any FuzzTarget.Type] {
    [
      AdapterTarget.self, ChatTarget.self, ConfigurationTarget.self, GGUFTarget.self, HDF5Target.self, IndexTarget.self, KerasTarget.self,
      QuantizationTarget.self, RecipeTarget.self, ReportTarget.self, SafeTensorsTarget.self, SentencePieceTarget.self, TemplateTarget.self,
      TokenizerTarget.self,
    ]
  }

  static func named(_ name: String) -> (any FuzzTarget.Type)? { all.first { $0.name == name } }
}

/// A target at work.
struct FuzzRun: Sendable {
  enum Outcome {
    case opened
    case refused(any Failure)
    /// What must not be: the error is none of ours, or says it in a way that a person could not use.
    case broken(String)
  }

  private let target: any FuzzTarget

  init(_ type: any FuzzTarget.Type, in directory: URL) throws {
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    target = try type.init(in: directory)
  }

  func callAsFunction(_ input: UnsafeRawBufferPointer) -> Outcome {
    do {
      try target.open(input)
      return .opened
    } catch let failure as any Failure {
      return Self.complaint(of: failure).map(Outcome.broken) ?? .refused(failure)
    } catch {
      return .broken("it throws a \(type(of: error)), which is no Failure: \(error)")
    }
  }

  /// Exit 65, 66 or 78 is what a bad file may end in. Names out of a file are cut short before they are shown.
  private static func complaint(of failure: any Failure) -> String? {
    let text = failure.description
    switch failure.kind {
    case .badData, .missingInput, .badConfiguration: break
    default: return "a bad file ends in \(failure.kind): \(text)"
    }
    if failure.problem.isEmpty { return "the failure does not say what is wrong: \(text)" }
    if text.utf8.count > longestMessage { return "the message has \(text.utf8.count) bytes: \(text.prefix(400)) …" }
    return nil
  }

  private static let longestMessage = 4000
}

/// Runs every step although an earlier one is refused.
/// - Throws: what the first of them threw.
func tryAll(_ steps: [() throws -> Void]) throws {
  var first: (any Error)?
  for step in steps {
    do { try step() } catch { first = first ?? error }
  }
  if let first { throw first }
}
