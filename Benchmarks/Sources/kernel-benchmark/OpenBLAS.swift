import CKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// sgemm of an OpenBLAS found at run time.
struct OpenBLAS {
  // (order, transpose A, transpose B, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc), the enumerations by their values in cblas.h.
  private typealias Multiply =
    @convention(c) (
      Int32, Int32, Int32, Int32, Int32, Int32, Float, UnsafePointer<Float>, Int32, UnsafePointer<Float>, Int32, Float,
      UnsafeMutablePointer<Float>, Int32
    ) -> Void
  private typealias SetThreads = @convention(c) (Int32) -> Void

  private let multiply: Multiply
  private let setThreads: SetThreads

  init?() {
    let names = ["libopenblas.so.0", "libopenblas.so", "libopenblas.dylib", "/opt/homebrew/opt/openblas/lib/libopenblas.dylib"]
    guard let library = names.lazy.compactMap({ dlopen($0, RTLD_NOW) }).first,
      let sgemm = dlsym(library, "cblas_sgemm"), let threads = dlsym(library, "openblas_set_num_threads")
    else { return nil }
    multiply = unsafeBitCast(sgemm, to: Multiply.self)
    setThreads = unsafeBitCast(threads, to: SetThreads.self)
  }

  func use(threads: Int) { setThreads(Int32(threads)) }

  /// result[m, n] = activations[m, k] * weights[n, k]^T
  func run(_ w: Workload) {
    guard let b = w.float32.data?.assumingMemoryBound(to: Float.self) else { return }
    let (rowMajor, plain, transposed) = (Int32(101), Int32(111), Int32(112))
    let m = Int32(w.m), n = Int32(w.n), k = Int32(w.k)
    multiply(rowMajor, plain, transposed, m, n, k, 1, w.activations, k, b, k, 0, w.result, n)
  }
}
