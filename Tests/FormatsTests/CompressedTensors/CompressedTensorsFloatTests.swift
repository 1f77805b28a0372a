import Formats
import StructuredData
import Tensors
import Testing

/// Weights of eight- and four-bit floats as compressed-tensors itself wrote them.
@Suite struct CompressedTensorsFloatTests {
  struct Form: Sendable, CustomTestStringConvertible {
    let name: String
    let scheme: QuantizationScheme
    var testDescription: String { name }
  }

  static let forms = [
    Form(name: "fp8", scheme: QuantizationScheme(bits: 8, granularity: .channel, levels: .float8)),
    Form(name: "fp8tensor", scheme: QuantizationScheme(bits: 8, granularity: .tensor, levels: .float8)),
    Form(name: "fp8block", scheme: QuantizationScheme(bits: 8, granularity: .block(128), levels: .float8)),
    Form(name: "nvfp4", scheme: QuantizationScheme(bits: 4, offset: .none, granularity: .group(16), levels: .float4, scales: .float8)),
    Form(name: "mxfp4", scheme: QuantizationScheme(bits: 4, offset: .none, granularity: .group(32), levels: .float4, scales: .powerOfTwo)),
  ]

  private func checkpoint(_ form: Form) throws -> MemoryCheckpoint {
    let golden = try ColumnPackedGolden().tensors
    var checkpoint = MemoryCheckpoint()
    for part in ["weight", "weight_packed", "weight_scale", "weight_global_scale"] {
      if let tensor = try? golden.tensor("\(form.name).\(part)") { checkpoint.tensors["\(form.name).\(part)"] = tensor }
    }
    return checkpoint
  }

  private func configuration(_ form: Form) throws -> JSONValue {
    let format = try CompressedTensorsFormat.format(for: form.scheme)
    let configuration = try CompressedTensorsConfiguration(
      modules: [.init(name: form.name, scheme: form.scheme, format: format)], dense: [])
    return ["quantization_config": configuration.json()]
  }

  /// Near the weight that the peer was given, by as much as so many bits allow; and back into the peer's bytes.
  @Test(arguments: forms) func readsAndWritesThePeersBytes(form: Form) throws {
    let stored = try checkpoint(form)
    let source = try openWeights(checkpoint: stored, configuration: configuration(form))
    guard case .quantized(let tensor) = try source.load("\(form.name).weight") else {
      Issue.record("is not quantized")
      return
    }
    #expect(tensor.scheme == form.scheme)
    let golden = try ColumnPackedGolden().tensors
    let original = try #require(golden.tensor("\(form.name).w").float32Values())
    let values = try #require(tensor.dequantized().float32Values())
    #expect(values.count == original.count)
    let error = zip(values, original).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }, power = original.reduce(0) { $0 + $1 * $1 }
    #expect(error / power < (form.scheme.bits == 8 ? 0.002 : 0.02))
    let written = try CompressedTensorsEncoding.encode(tensor, module: form.name)
    #expect(Set(written.map(\.0.name)) == Set(stored.tensors.keys))
    for (descriptor, part) in written {
      let expected = try stored.tensor(descriptor.name)
      #expect(
        part.dataType == expected.dataType && part.shape == expected.shape && part.contents == expected.contents, "\(descriptor.name)")
    }
  }

  private func failure(_ name: String, _ edit: (inout MemoryCheckpoint) throws -> Void) throws -> String {
    let form = try #require(Self.forms.first { $0.name == name })
    var edited = try checkpoint(form)
    try edit(&edited)
    let configuration = try configuration(form)
    return message { _ = try openWeights(checkpoint: edited, configuration: configuration).load("\(name).weight") }
  }

  private func filled(_ like: Tensor, _ byte: UInt8) -> Tensor {
    Tensor(dataType: like.dataType, shape: like.shape) { target in for index in target.indices { target[index] = byte } }
  }

  @Test func refusesWhatIsNoNumber() throws {
    for code in [UInt8(0x7f), 0xff] {
      #expect(try failure("fp8") { $0.tensors["fp8.weight"] = filled(try $0.tensor("fp8.weight"), code) }.contains("NaN"))
      #expect(
        try failure("nvfp4") { $0.tensors["nvfp4.weight_scale"] = filled(try $0.tensor("nvfp4.weight_scale"), code) }.contains("no number"))
    }
    #expect(
      try failure("mxfp4") { $0.tensors["mxfp4.weight_scale"] = filled(try $0.tensor("mxfp4.weight_scale"), 255) }.contains("no number"))
    #expect(
      try failure("fp8") { $0.tensors["fp8.weight_scale"] = filled(try $0.tensor("fp8.weight_scale"), 0xff) }.contains("no number"))
    for divisor in [Float(0), -1, .infinity, .nan] {
      #expect(try failure("nvfp4") { $0.tensors["nvfp4.weight_global_scale"] = floats([divisor], [1]) }.contains("positive"))
    }
  }

  @Test func refusesSizesThatDoNotFit() throws {
    #expect(try failure("fp8block") { $0.tensors["fp8block.weight_scale"] = floats([1, 1], [1, 2]) }.contains("weight_scale"))
    #expect(try failure("fp8tensor") { $0.tensors["fp8tensor.weight_scale"] = floats([1, 1], [2]) }.contains("weight_scale"))
    #expect(try failure("nvfp4") { $0.tensors["nvfp4.weight_global_scale"] = nil }.contains("missing"))
    #expect(
      try failure("mxfp4") { $0.tensors["mxfp4.weight_packed"] = Tensor(dataType: .uint8, shape: [32]) { _ in } }.contains("no matrix"))
  }
}
