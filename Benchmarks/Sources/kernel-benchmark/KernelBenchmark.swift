import CKernels
import Foundation
import PeakLoops

/// Measures the products and prints one JSON document.
@main
struct KernelBenchmark {
  /// One thing to measure: its name in the document, the work of a run (operations or bytes, in billions), and the run.
  struct Measurement {
    var name: String
    var work: Double
    var run: () -> Void
  }

  static func main() throws {
    let options: Options
    do {
      options = try Options(Array(CommandLine.arguments.dropFirst()))
    } catch {
      FileHandle.standardError.write(Data("kernel-benchmark: \(error)\n".utf8))
      exit(2)
    }
    let workload = Workload(m: options.m, n: options.n, k: options.k)
    let streams = StreamWorkload(bytes: options.megabytes << 20, k: options.k)
    let library = OpenBLAS()
    var document: [String: Any] = [
      "instruction_set": String(cString: dso_isa_name(dso_isa_current())),
      "m": options.m, "n": options.n, "k": options.k, "rounds": options.rounds, "stream_megabytes": options.megabytes,
    ]
    for threads in options.threads {
      document["threads_\(threads)"] = try measure(workload, streams, library, threads: threads, rounds: options.rounds)
    }
    let data = try JSONSerialization.data(withJSONObject: document, options: [.prettyPrinted, .sortedKeys])
    FileHandle.standardOutput.write(data + Data("\n".utf8))
  }

  static func measure(
    _ w: Workload, _ streamed: StreamWorkload, _ library: OpenBLAS?, threads: Int, rounds: Int
  ) throws -> [String: Any] {
    var view = w.float32
    let scratchBytes = Int(max(dso_matmul_scratch_bytes(&view), dso_gradient_product_scratch_bytes()))
    guard let pool = Pool(threads: threads, scratchBytes: scratchBytes) else {
      throw Options.Unusable(description: "\(threads) threads cannot be started")
    }
    library?.use(threads: threads)
    var products = self.products(w, pool) + trainingProducts(w, pool)
    if let library {
      products.insert(Measurement(name: "openBLAS", work: products[0].work) { library.run(w) }, at: 1)
    }
    let set = peak_set.current
    for (name, loop) in [("peak_float", peak_float), ("peak_bfloat", peak_bfloat), ("peak_codes", peak_codes)] {
      let operations = loop(set, 10)
      guard operations > 0 else { continue }
      let turns: Int64 = 4_000_000
      products.append(
        Measurement(name: name, work: Double(operations / 10 * turns) * Double(threads) / 1e9) {
          pool.run(threads) { _, _ in _ = loop(set, turns) }
        })
    }
    var rates = medianRates(products, rounds: rounds)
    var ratios: [String: Double] = [:]
    func ratio(_ name: String, _ over: String, _ under: String) {
      if let a = rates[over], let b = rates[under], b > 0 { ratios[name] = rounded(a / b) }
    }
    ratio("f32_over_openBLAS", "f32", "openBLAS")
    ratio("bf16_over_f32", "bf16", "f32")
    ratio("s8_8bit_over_f32", "s8_8bit", "f32")
    ratio("s8_4bit_g128_over_f32", "s8_4bit_g128", "f32")
    ratio("f32_over_peak", "f32", "peak_float")
    ratio("s8_8bit_over_peak", "s8_8bit", "peak_codes")
    if let codes = rates["peak_codes"] { rates["half_peak_codes"] = codes / 2 }
    for name in ["s16_8bit", "s16_4bit_g128"] {
      ratio("\(name)_over_bf16", name, "bf16")
      ratio("\(name)_over_half_peak_codes", name, "half_peak_codes")
    }
    for (name, single) in [("nt", "f32"), ("nn", "nn_f32"), ("tn", "tn_f32")] {
      ratio("\(name)_bf16_over_f32", "\(name)_bf16", single)
      ratio("\(name)_bf16_over_peak", "\(name)_bf16", "peak_bfloat")
      if name != "nt" { ratio("\(name)_f32_over_peak", single, "peak_float") }
    }
    let streams = medianRates(streamed.measurements(pool), rounds: rounds)
    return [
      "billion_operations_per_second": rates.mapValues(rounded),
      "ratios": ratios,
      "matvec_gigabytes_per_second": streams.mapValues(rounded),
      "matvec_over_stream": streams.filter { $0.key != "stream" }.mapValues { rounded($0 / (streams["stream"] ?? .infinity)) },
    ]
  }

  static func products(_ w: Workload, _ pool: Pool) -> [Measurement] {
    let m = Int64(w.m), k = Int64(w.k), n = Int64(w.n)
    func float(_ name: String, _ weights: dso_weights, _ work: Double) -> Measurement {
      Measurement(name: name, work: work) {
        pool.columns(w.n) { begin, end, scratch in
          var view = weights
          dso_matmul_f32(w.activations, k, m, &view, begin, end, nil, w.result, n, scratch)
        }
      }
    }
    func codes(_ name: String, _ weights: dso_weights, _ work: Double) -> Measurement {
      Measurement(name: name, work: work) {
        pool.columns(w.n) { begin, end, scratch in
          var view = weights
          dso_matmul_s8(w.codes, k, w.codeScales, nil, m, &view, begin, end, nil, w.result, n, scratch)
        }
      }
    }
    func wide(_ name: String, _ weights: dso_weights, _ work: Double) -> Measurement {
      Measurement(name: name, work: work) {
        pool.columns(w.n) { begin, end, scratch in
          var view = weights
          dso_matmul_s16(w.wideCodes, k, w.wideScales, m, &view, begin, end, nil, w.result, n, scratch)
        }
      }
    }
    let work = 2 * Double(w.m) * Double(w.n) * Double(w.k) / 1e9
    let bfloat16 = Measurement(name: "bf16", work: work) {
      pool.columns(w.n) { begin, end, scratch in
        var view = w.bfloat16
        dso_matmul_bf16(w.rounded, k, m, &view, begin, end, nil, w.result, n, scratch)
      }
    }
    return [
      float("f32", w.float32, work), bfloat16, codes("s8_8bit", w.bits8, work), codes("s8_4bit_g128", w.bits4, work),
      wide("s16_8bit", w.bits8, work), wide("s16_4bit_g128", w.bits4, work),
      float("f32_8bit", w.bits8, work), float("f32_4bit_g128", w.bits4, work),
    ]
  }

  /// Work per second of each, the median of rounds in which every one had its turn.
  static func medianRates(_ measurements: [Measurement], rounds: Int) -> [String: Double] {
    let clock = ContinuousClock()
    var seconds = [[Double]](repeating: [], count: measurements.count)
    for round in 0...rounds {
      for (index, measurement) in measurements.enumerated() {
        let time = clock.measure(measurement.run)
        // The first round warms caches and clock.
        if round > 0 { seconds[index].append(Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18) }
      }
    }
    return Dictionary(
      uniqueKeysWithValues: zip(measurements, seconds).map { measurement, times in
        (measurement.name, measurement.work / max(times.sorted()[times.count / 2], 1e-12))
      })
  }

  static func rounded(_ x: Double) -> Double { (x * 100).rounded() / 100 }
}
