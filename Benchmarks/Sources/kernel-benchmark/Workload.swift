import CKernels

/// The operands of all measurements. Memory lives as long as the program.
struct Workload {
  let m, n, k: Int
  let activations: UnsafeMutablePointer<Float>
  let rounded: UnsafeMutablePointer<UInt16>
  let codes: UnsafeMutablePointer<Int8>
  let codeScales: UnsafeMutablePointer<Float>
  let wideCodes: UnsafeMutablePointer<Int16>
  let wideScales: UnsafeMutablePointer<Float>
  let result: UnsafeMutablePointer<Float>
  /// Of the result [m, n], the activations [m, k] and the weight [n, k].
  let gradient, activationGradient, weightGradient: UnsafeMutablePointer<Float>
  let float32, bfloat16, bits8, bits4: dso_weights

  init(m: Int, n: Int, k: Int) {
    (self.m, self.n, self.k) = (m, n, k)
    var generator = SystemRandomNumberGenerator()
    func memory<T: BitwiseCopyable>(_ count: Int, _ value: () -> T) -> UnsafeMutablePointer<T> {
      let pointer = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<T>.stride, alignment: 64).bindMemory(
        to: T.self, capacity: count)
      for index in 0..<count { (pointer + index).initialize(to: value()) }
      return pointer
    }
    func random() -> Float { Float(Int32(truncatingIfNeeded: generator.next() as UInt64)) * 0x1p-31 }
    activations = memory(m * k, random)
    rounded = memory(m * k) { 0 }
    dso_convert_f32_to_bf16(activations, rounded, Int64(m * k))
    codes = memory(m * k) { 0 }
    codeScales = memory(m) { 0 }
    dso_quantize_rows_s8(activations, Int64(k), Int64(m), Int64(k), codes, Int64(k), codeScales, Int64(k), nil)
    wideCodes = memory(m * k) { 0 }
    wideScales = memory(m) { 0 }
    dso_quantize_rows_s16(activations, Int64(k), Int64(m), Int64(k), wideCodes, Int64(k), wideScales)
    result = memory(m * n) { 0 }
    gradient = memory(m * n, random)
    activationGradient = memory(m * k) { 0 }
    weightGradient = memory(n * k) { 0 }

    let floats = memory(n * k, random)
    let halves: UnsafeMutablePointer<UInt16> = memory(n * k) { 0 }
    dso_convert_f32_to_bf16(floats, halves, Int64(n * k))
    let bytes = memory(n * k) { UInt8(truncatingIfNeeded: generator.next() as UInt64) }
    let scales = memory(n * (k / 128)) { Float(0.01) }

    func weights(_ storage: dso_storage, bits: Int, data: UnsafeRawPointer, groupSize: Int) -> dso_weights {
      var w = dso_weights()
      w.storage = storage
      w.bits = Int32(bits)
      w.data = data
      w.row_bytes = Int64(k * bits / 8)
      w.n = Int64(n)
      w.k = Int64(k)
      w.group_size = Int64(groupSize)
      w.scales = UnsafePointer(scales)
      return w
    }
    float32 = weights(DSO_STORAGE_F32, bits: 32, data: floats, groupSize: k)
    bfloat16 = weights(DSO_STORAGE_BF16, bits: 16, data: halves, groupSize: k)
    bits8 = weights(DSO_STORAGE_QUANTIZED, bits: 8, data: bytes, groupSize: k)
    bits4 = weights(DSO_STORAGE_QUANTIZED, bits: 4, data: bytes, groupSize: 128)
  }
}
