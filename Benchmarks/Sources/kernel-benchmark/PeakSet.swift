import CKernels
import PeakLoops

extension peak_set {
  /// Of the instructions that kernels use now. What AArch64 adds for matrices of bytes counts as its dot products: ratios over their peak may
  /// then pass 1.
  static var current: peak_set {
    let set = dso_isa_current()
    return peak_set(rawValue: numericCast(set == DSO_ISA_NEON_I8MM ? DSO_ISA_NEON.rawValue : set.rawValue))
  }
}
