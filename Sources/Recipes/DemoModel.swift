import Foundation

/// The small model and the texts that ship with the package, so that everything can be tried without a download.
public enum DemoModel {
  /// The word that stands for it where a MODEL is expected.
  public static let name = "demo"

  private static var resources: URL { Bundle.module.resourceURL ?? Bundle.module.bundleURL }

  /// A Hugging Face directory: a Llama of a million parameters.
  public static var directory: URL { resources.appendingPathComponent("Demo/model", isDirectory: true) }
  /// The text that `--calibration demo` names.
  public static var calibrationText: URL { resources.appendingPathComponent("Demo/calibration.txt") }
  /// The text that reports are measured on when none is given.
  public static var evaluationText: URL { resources.appendingPathComponent("Demo/evaluation.txt") }
}
