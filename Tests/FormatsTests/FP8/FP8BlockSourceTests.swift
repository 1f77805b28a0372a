import Formats
import Foundation
import StructuredData
import Tensors
import Testing

/// Weights of eight-bit floats in blocks against transformers (make-fp8-fixtures.py).
@Suite struct FP8BlockSourceTests {
  private var checkpoint = MemoryCheckpoint()
  private let expected: [String: Tensor]

  init() throws {
    let file = try SafeTensorsFile(
      try #require(Bundle.module.url(forResource: "golden", withExtension: "safetensors", subdirectory: "FP8Fixtures")))
    var expected: [String: Tensor] = [:]
    for descriptor in file.descriptors {
      let tensor = try file.tensor(descriptor.name)
      if descriptor.name.hasSuffix(".expected") {
        expected[descriptor.name.replacingOccurrences(of: ".expected", with: ".weight")] = tensor
      } else {
        checkpoint.tensors[descriptor.name] = tensor
      }
    }
    self.expected = expected
  }

  private func configuration(_ changes: JSONObject = [:], type: String = "bfloat16") -> JSONValue {
    var settings: JSONObject = ["quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [16, 16], "activation_scheme": "dynamic"]
    for member in changes.members { settings[member.key] = member.value }
    return ["torch_dtype": .string(type), "quantization_config": .object(settings)]
  }

  @Test func valuesAreThoseOfTransformers() throws {
    let source = try openWeights(checkpoint: checkpoint, configuration: configuration())
    #expect(source.names == ["aligned.weight", "norm.weight", "ragged.weight"])
    for (name, tensor) in expected {
      let described = try #require(source.describe(name))
      #expect(described.shape == tensor.shape && described.storage == .dense(.bfloat16))
      guard case .dense(let loaded) = try source.load(name) else {
        Issue.record("\(name) is quantized")
        continue
      }
      #expect(loaded.dataType == .bfloat16 && loaded.contents == tensor.contents, "\(name)")
    }
    guard case .dense(let norm) = try source.load("norm.weight") else { return }
    #expect(norm.contents == checkpoint.tensors["norm.weight"]?.contents)
  }

  /// In float32 nothing is rounded: rounding it later comes to the same.
  @Test func theTypeIsTheOneThatTheModelNames() throws {
    let source = try openWeights(checkpoint: checkpoint, configuration: configuration(type: "float32"))
    guard case .dense(let loaded) = try source.load("ragged.weight") else { return }
    #expect(loaded.dataType == .float32 && loaded.converted(to: .bfloat16)?.contents == expected["ragged.weight"]?.contents)
  }

  /// Rows that somebody asks for alone are those of the whole.
  @Test func someRowsAreThoseOfTheWhole() throws {
    let source = try openWeights(checkpoint: checkpoint, configuration: configuration())
    for (name, tensor) in expected where tensor.shape.rank == 2 {
      let (rows, width) = (tensor.shape[0], tensor.shape[1] * 2)
      let own = rows / 3..<rows - rows / 4
      guard case .dense(let loaded) = try source.load(name, rows: own) else { continue }
      #expect(loaded.shape == tensor.shape)
      let bytes = own.lowerBound * width..<own.upperBound * width
      #expect(Array(loaded.contents[bytes]) == Array(tensor.contents[bytes]), "\(name)")
    }
  }

  @Test func scalesThatAreNoNumbersAreRefused() throws {
    var broken = checkpoint
    let name = "aligned.weight_scale_inv"
    let sound = try #require(checkpoint.tensors[name]?.asFloat32())
    broken.tensors[name] = Tensor([.nan] + (sound.float32Values() ?? []).dropFirst(), shape: sound.shape)
    let source = try openWeights(checkpoint: broken, configuration: configuration())
    #expect(message { _ = try source.load("aligned.weight") }.contains("\(name): 1 of its scales"))
  }

  @Test func whatIsIncompleteIsRefused() throws {
    func message(_ changes: JSONObject = [:], _ edit: (inout MemoryCheckpoint) -> Void = { _ in }) -> String {
      var edited = checkpoint
      edit(&edited)
      do {
        _ = try openWeights(checkpoint: edited, configuration: configuration(changes))
        return ""
      } catch { return "\(error)" }
    }
    #expect(message().isEmpty)
    #expect(message { $0.tensors["ragged.weight_scale_inv"] = nil }.contains("ragged.weight_scale_inv"))
    #expect(message { $0.tensors["ragged.weight"] = nil }.contains("codes that it belongs to are missing"))
    #expect(message(["weight_block_size": [32, 16]]).contains("aligned.weight_scale_inv"))
    #expect(message(["weight_block_size": [0, 16]]).contains("weight_block_size"))
    #expect(message(["weight_block_size": .null]).contains("weight_block_size"))
    #expect(message(["fmt": "e5m2"]).contains("e5m2"))
    #expect(message { $0.tensors["ragged.weight_scale_inv"] = Tensor(int8: Array(repeating: 1, count: 6), shape: [2, 3]) }.contains("I8"))
  }
}
