import Foundation

/// The small model and the texts that ship with the package, so that everything can be tried without a download.
public enum DemoModel {
  /// The word that stands for it where a MODEL is expected.
  public static let name = "demo"

  /// A Hugging Face directory: a Llama of a million parameters.
  public static var directory: URL { ToolResources.url("Demo/model") }
  /// The text that `--calibration demo` names.
  public static var calibrationText: URL { ToolResources.url("Demo/calibration.txt") }
  /// The text that reports are measured on when none is given.
  public static var evaluationText: URL { ToolResources.url("Demo/evaluation.txt") }
}
