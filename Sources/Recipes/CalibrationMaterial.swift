import Calibration
import Compression

/// What of calibration does not depend on how the model is compressed, so that several runs over one model need to find it but once.
final class CalibrationMaterial {
  var selection: CalibrationSelection?
  var sensitivity: OutputSensitivity?
  /// False where passes change what is known of layers as they go.
  var sharesSensitivity = true
}
