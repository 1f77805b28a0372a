import CKernels
import DeepSeekOptimize
import Foundation

/// Writes a Llama checkpoint of random weights (normal, standard deviation 0.02, bfloat16): the load of the speed measurements.
@main
struct RandomLlama {
  static func main() throws {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst())
      guard arguments.count == 2, let size = ModelSize.named[arguments[0]] else {
        throw Unusable(description: "usage: random-llama \(ModelSize.named.keys.sorted().joined(separator: "|")) DIRECTORY")
      }
      let directory = URL(fileURLWithPath: arguments[1])
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      try write(size, to: directory)
    } catch {
      FileHandle.standardError.write(Data("random-llama: \(error)\n".utf8))
      exit(64)
    }
  }

  struct Unusable: Error, CustomStringConvertible {
    var description: String
  }

  static func write(_ size: ModelSize, to directory: URL) throws {
    // The demo's tokenizer: its tokens are the first ones of the vocabulary.
    let demo = try ModelBundle(opening: "demo").directory
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      let target = directory.appendingPathComponent(name)
      try? FileManager.default.removeItem(at: target)
      try FileManager.default.copyItem(at: demo.appendingPathComponent(name), to: target)
    }
    try Data(size.configuration.utf8).write(to: directory.appendingPathComponent("config.json"))
    let writer = try SafeTensorsWriter(directory: directory, tensors: size.tensors)
    let quantiles = Self.quantiles
    for (index, tensor) in size.tensors.enumerated() {
      let count = tensor.shape.elementCount
      let values = [UInt16](unsafeUninitializedCapacity: count) { buffer, initialized in
        if tensor.shape.rank == 1 {
          buffer.update(repeating: 0x3F80)  // gains are one
        } else {
          // Four weights of each number of 64 bits.
          for place in stride(from: 0, to: count, by: 4) {
            var bits = SeededRandom.value(seed: UInt64(index), index: UInt64(place))
            for offset in 0..<min(4, count - place) {
              buffer[place + offset] = quantiles[Int(bits & 0xFFFF)]
              bits >>= 16
            }
          }
        }
        initialized = count
      }
      try values.withUnsafeBytes { try writer.write(tensor.name, $0) }
    }
    try writer.finish()
  }

  /// The middles of 65,536 equally likely parts of the normal distribution, as bfloat16.
  static var quantiles: [UInt16] {
    let values = (0..<65536).map { Float(0.02 * Self.quantile((Double($0) + 0.5) / 65536)) }
    var result = [UInt16](repeating: 0, count: values.count)
    dso_convert_f32_to_bf16(values, &result, Int64(values.count))
    return result
  }

  /// The quantile of the standard normal distribution, by bisection of its distribution function.
  static func quantile(_ p: Double) -> Double {
    var (low, high) = (-10.0, 10.0)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if 0.5 * erfc(-middle / 2.0.squareRoot()) < p { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }
}
