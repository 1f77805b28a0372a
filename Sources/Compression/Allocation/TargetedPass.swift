/// A pass whose weights, widths and groups are those of `QuantizationTargets`: what chooses bits by measurement sets them.
public protocol TargetedPass: CompressionPass {
  var targets: QuantizationTargets { get set }
}

extension TargetedPass {
  /// The same pass with other targets.
  public func with(_ targets: QuantizationTargets) -> Self {
    var copy = self
    copy.targets = targets
    return copy
  }
}

extension RoundToNearest: TargetedPass {}
extension MinimumSquaredError: TargetedPass {}
extension HalfQuadratic: TargetedPass {}
extension ImportanceMatrix: TargetedPass {}
extension GPTQ: TargetedPass {}
