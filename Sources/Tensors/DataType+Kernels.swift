import CKernels

extension DataType {
  /// How kernels read it; nil for what they do not.
  package var kernelStorage: dso_storage? {
    switch self {
    case .float32: DSO_STORAGE_F32
    case .bfloat16: DSO_STORAGE_BF16
    case .float16: DSO_STORAGE_F16
    default: nil
    }
  }
}
