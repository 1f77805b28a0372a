import CKernels

/// The instructions that this process computes with.
public enum KernelSet {
  /// As the environment variable DEEPSEEK_OPTIMIZE_ISA takes it: `avx512`, `avx2`, `neon`, `portable`.
  public static var name: String { String(cString: dso_isa_name(dso_isa_current())) }
}
