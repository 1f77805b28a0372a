import CKernels

extension KernelBenchmark {
  /// The three products of a linear layer in bfloat16, and in float the two of its gradients.
  static func trainingProducts(_ w: Workload, _ pool: Pool) -> [Measurement] {
    let m = Int64(w.m), k = Int64(w.k), n = Int64(w.n)
    let work = 2 * Double(w.m) * Double(w.n) * Double(w.k) / 1e9
    let forward = Measurement(name: "nt_bf16", work: work) {
      pool.columns(w.n) { begin, end, scratch in
        var view = w.float32
        dso_matmul_nt_bf16(w.activations, k, m, &view, begin, end, nil, w.result, n, scratch)
      }
    }
    func ofInput(_ name: String, _ product: @escaping NN) -> Measurement {
      Measurement(name: name, work: work) {
        pool.rows(w.m) { begin, end, scratch in
          var view = w.float32
          let from = w.gradient + Int(begin) * w.n, to = w.activationGradient + Int(begin) * w.k
          product(from, n, end - begin, &view, 0, k, 0, to, k, scratch)
        }
      }
    }
    func ofWeight(_ name: String, _ product: @escaping TN) -> Measurement {
      Measurement(name: name, work: work) {
        pool.rows(w.n) { begin, end, scratch in
          product(w.gradient, n, begin, end, w.activations, k, k, m, 0, w.weightGradient, k, scratch)
        }
      }
    }
    return [
      forward, ofInput("nn_f32", dso_matmul_nn_f32), ofInput("nn_bf16", dso_matmul_nn_bf16), ofWeight("tn_f32", dso_matmul_tn_f32),
      ofWeight("tn_bf16", dso_matmul_tn_bf16),
    ]
  }

  // (a, lda, m, w, n_begin, n_end, accumulate, c, ldc, scratch)
  private typealias NN = (
    UnsafePointer<Float>?, Int64, Int64, UnsafePointer<dso_weights>?, Int64, Int64, Int32, UnsafeMutablePointer<Float>?, Int64,
    UnsafeMutableRawPointer?
  ) -> Void
  // (a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch)
  private typealias TN = (
    UnsafePointer<Float>?, Int64, Int64, Int64, UnsafePointer<Float>?, Int64, Int64, Int64, Int32, UnsafeMutablePointer<Float>?, Int64,
    UnsafeMutableRawPointer?
  ) -> Void
}
