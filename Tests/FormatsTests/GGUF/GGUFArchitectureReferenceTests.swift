import Formats
import StructuredData
import Testing

/// Against the reference converter.
@Suite struct GGUFArchitectureReferenceTests {
  /// Keys that the reference leaves to the defaults of readers, or forgets.
  private let ours: Set<String> = [
    "attention.key_length", "attention.value_length", "expert_gating_func", "vocab_size", "rope.dimension_count", "attention.q_lora_rank",
    "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
  ]

  @Test(arguments: GGUFArchitectureGolden.small + GGUFArchitectureGolden.published)
  func metadataIsThatOfTheReference(_ name: String) throws {
    let golden = try GGUFArchitectureGolden(name)
    let model = try GGUFModel(configuration: golden.configuration)
    let metadata = model.metadata(
      name: "a model", sizeLabel: golden.tensors.isEmpty ? nil : GGUFModel.sizeLabel(of: golden.tensors.map { ($0.name, $0.shape) }),
      fileType: try #require(golden.metadata.first { $0.key == "general.file_type" }?.value.integer).u32)
    let expected = golden.metadata
    for (key, value) in expected { #expect(metadata[key] == value, "\(key)") }
    let known = Set(expected.map(\.key))
    for entry in metadata.entries where !known.contains(entry.key) {
      #expect(ours.contains(String(entry.key.dropFirst(model.architectureName.count + 1))), "\(entry.key)")
    }
    // The tokenizer's keys come last there.
    func order(_ keys: [String]) -> [String] { keys.filter { known.contains($0) && !$0.hasPrefix("tokenizer.") } }
    #expect(order(metadata.entries.map(\.key)) == order(expected.map(\.key)))
  }

  /// As published models are called.
  @Test func sizesAreRoundedAsListingsShowThem() {
    func label(_ shapes: [[Int]], experts: [[Int]] = []) -> String {
      GGUFModel.sizeLabel(
        of: shapes.enumerated().map { ("blk.\($0).attn_q.weight", $1) } + experts.enumerated().map { ("blk.\($0).ffn_up_exps.weight", $1) })
    }
    #expect(label([[8_030_261_248]]) == "8.0B" && label([[1_235_814_400]]) == "1.2B" && label([[70_553_706_496]]) == "71B")
    #expect(label([[494_032_768]]) == "494M" && label([[1_000_000]]) == "1000K" && label([[400]]) == "0.40K")
    #expect(label([[1_605_640_192]], experts: [[8, 1_408_000_000], [8, 4_229_000_000]]) == "8x7.2B")
  }

  @Test(arguments: GGUFArchitectureGolden.small)
  func elementsGoWhereTheReferencePutsThem(_ name: String) throws {
    let golden = try GGUFArchitectureGolden(name)
    let model = try GGUFModel(configuration: golden.configuration)
    var made: [String: [Int]] = [:]
    var filled: [String: Int] = [:]
    for parameter in golden.parameters {
      let rows = parameter.shape.count > 1 ? parameter.shape[0] : parameter.shape.reduce(1, *)
      let width = parameter.shape.dropFirst().reduce(1, *)
      for place in try model.placements(of: parameter.name) {
        let shape = try place.transform.tensorShape(of: parameter.shape)
        let golden = try #require(golden.tensors.first { $0.name == place.tensor }, "\(place.tensor)")
        #expect(shape == golden.shape && place.requiresFloat32 == golden.isFloat32, "\(place.tensor)")
        var elements = try place.transform.forward(rows: rows).flatMap { row in (0..<width).map { parameter.base + row * width + $0 } }
        if place.transform.transposesHeads {
          let size = shape[1] * shape[2]
          elements = (0..<elements.count).map { index in
            let (head, inner) = (index / size, index % size)
            return elements[head * size + inner % shape[2] * shape[1] + inner / shape[2]]
          }
        }
        let first = if case .slice(let index, _) = place.transform { index * rows * width } else { 0 }
        made[place.tensor, default: Array(repeating: -1, count: shape.reduce(1, *))].replaceSubrange(
          first..<first + elements.count, with: elements)
        filled[place.tensor, default: 0] += elements.count
      }
    }
    for tensor in golden.tensors {
      guard let sum = tensor.sum else {
        let synthesized = try #require(model.synthesizedTensors.first { $0.name == tensor.name })
        #expect(synthesized.values.count == tensor.values.count)
        for (mine, theirs) in zip(synthesized.values, tensor.values) { #expect(abs(mine - theirs) <= 2e-6 * theirs) }
        continue
      }
      let found = made.removeValue(forKey: tensor.name)
      let elements = try #require(found, "\(tensor.name)")
      #expect(filled[tensor.name] == elements.count)
      let mine = elements.enumerated().reduce(UInt64(0)) { $0 &+ UInt64($1.offset + 1) &* UInt64(bitPattern: Int64($1.element)) }
      #expect(mine == sum, "\(tensor.name)")
    }
    #expect(made.isEmpty)
  }
}

extension Int { fileprivate var u32: UInt32 { UInt32(self) } }
