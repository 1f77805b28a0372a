/// A pass whose weights, widths and groups are those of `QuantizationTargets`: what chooses bits by measurement sets them. A pass conforms
/// where it is declared, when it quantizes every layer by itself and leaves all other layers as they are.
public protocol TargetedPass: CompressionPass, QuantizingPass {
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
