import CKernels
import PeakLoops

/// Products of one row of activations with weights that no cache holds: what counts is how fast the weights stream by.
struct StreamWorkload {
  let bytes, k: Int
  let memory: UnsafeMutableRawPointer
  let scales, activations, wideScales, result: UnsafeMutablePointer<Float>
  let wideCodes: UnsafeMutablePointer<Int16>

  init(bytes: Int, k: Int) {
    (self.bytes, self.k) = (bytes, k)
    memory = .allocate(byteCount: bytes, alignment: 64)
    // Bytes below 64 are codes of any width and, as floats of any width, numbers between 0 and 1.
    var generator = SystemRandomNumberGenerator()
    let words = memory.bindMemory(to: UInt64.self, capacity: bytes / 8)
    for index in 0..<bytes / 8 { words[index] = generator.next() & 0x3f3f_3f3f_3f3f_3f3f }
    func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
      let pointer = UnsafeMutablePointer<Float>.allocate(capacity: count)
      pointer.initialize(repeating: 0.01, count: count)
      return pointer
    }
    // Three bits have the most rows and, in groups of 128, the most scales.
    let mostRows = bytes / (k * 3 / 8) + 1
    scales = floats(max(mostRows * ((k + 127) / 128), bytes / 64) + 1)
    activations = floats(k)
    for index in 0..<k { activations[index] = Float(index % 7 - 3) }
    result = floats(mostRows)
    wideScales = floats(1)
    wideCodes = .allocate(capacity: k)
    dso_quantize_rows_s16(activations, Int64(k), 1, Int64(k), wideCodes, Int64(k), wideScales)
  }

  func weights(_ storage: dso_storage, bits: Int, groupSize: Int) -> dso_weights {
    var w = dso_weights()
    w.storage = storage
    w.bits = Int32(bits)
    w.data = UnsafeRawPointer(memory)
    w.row_bytes = Int64(k * bits / 8)
    w.n = Int64(bytes) / w.row_bytes
    w.k = Int64(k)
    w.group_size = Int64(groupSize)
    w.scales = UnsafePointer(scales)
    precondition(bits >= 3 && (groupSize >= 128 || groupSize == k), "scales and results are as many as 3 bits in groups of 128 need")
    return w
  }

  /// Gigabytes of weights; `stream` only reads them.
  func measurements(_ pool: Pool) -> [KernelBenchmark.Measurement] {
    let bits8 = weights(DSO_STORAGE_QUANTIZED, bits: 8, groupSize: k), bits4 = weights(DSO_STORAGE_QUANTIZED, bits: 4, groupSize: 128)
    let floats = [
      ("f32", weights(DSO_STORAGE_F32, bits: 32, groupSize: k)), ("bf16", weights(DSO_STORAGE_BF16, bits: 16, groupSize: k)),
      ("8bit", bits8), ("4bit_g128", bits4),
    ]
    let wide = [
      ("s16_8bit", bits8), ("s16_4bit_g128", bits4), ("s16_3bit_g128", weights(DSO_STORAGE_QUANTIZED, bits: 3, groupSize: 128)),
    ]
    func measurement(_ name: String, _ weights: dso_weights, _ run: @escaping (dso_weights, Int64, Int64, UnsafeMutableRawPointer) -> Void)
      -> KernelBenchmark.Measurement
    {
      KernelBenchmark.Measurement(name: name, work: Double(weights.n * weights.row_bytes) / 1e9) {
        pool.columns(Int(weights.n)) { begin, end, scratch in run(weights, begin, end, scratch) }
      }
    }
    let set = peak_set.current, part = bytes / pool.threads / 512 * 512
    let limit = KernelBenchmark.Measurement(name: "stream", work: Double(part * pool.threads) / 1e9) {
      pool.run(pool.threads) { task, _ in read_stream(set, memory + task * part, Int64(part)) }
    }
    return [limit]
      + floats.map { name, weights in
        measurement(name, weights) { weights, begin, end, scratch in
          var view = weights
          dso_matvec_f32(activations, Int64(k), 1, &view, begin, end, nil, result, view.n, scratch)
        }
      }
      + wide.map { name, weights in
        measurement(name, weights) { weights, begin, end, scratch in
          var view = weights
          dso_matvec_s16(wideCodes, Int64(k), wideScales, 1, &view, begin, end, nil, result, view.n, scratch)
        }
      }
  }
}
