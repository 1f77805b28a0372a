import Compression
import Diagnostics
import Formats
import ModelGraph
import Tensors

/// Weights on their way into a checkpoint, with a digest of each as it must be read again, by the name that it is read under.
struct WeightOutput {
  private let layout: OutputLayout
  private let writer: any CheckpointWriter
  private let source: ModelGraph
  /// Whether the source has values that are no numbers; nil until that is asked.
  private var sourceHoldsOthers: Bool?
  private(set) var digests: [TensorName: String]

  /// - Parameters:
  ///   - source: the model that the weights come from: where it holds numbers alone, the output does.
  ///   - digests: of weights that an earlier run has written.
  init(_ layout: OutputLayout, to writer: any CheckpointWriter, from source: ModelGraph, digests: [TensorName: String] = [:]) {
    (self.layout, self.writer, self.source, self.digests) = (layout, writer, source, digests)
  }

  /// Does not look for a stop: within a block that would leave activations ahead of the weights that a resumed run goes on from.
  mutating func write(_ weight: Weight, _ entry: OutputLayout.Entry) throws { try write(weight, entry, isPassedOn: false) }

  private mutating func write(_ weight: Weight, _ entry: OutputLayout.Entry, isPassedOn: Bool) throws {
    // What the format does without cannot be read again.
    guard !entry.tensors.isEmpty else { return }
    let encoded = try layout.encoding.encode(weight, as: entry)
    try requireNumbers(encoded.map(\.1), of: weight, entry, isPassedOn: isPassedOn)
    for (descriptor, tensor) in encoded { try writer.write(descriptor.name, tensor) }
    digests[layout.nameReadBack(of: entry)] = layout.encoding.expected(weight, as: entry).digest()
  }

  /// What leaves the range of its type, whatever made it so, is not written. What the source held already is passed on, and counted when it is
  /// read again.
  private mutating func requireNumbers(
    _ tensors: [Tensor], of weight: Weight, _ entry: OutputLayout.Entry, isPassedOn: Bool
  ) throws {
    let count = tensors.reduce(0) { $0 + $1.notFiniteCount }
    guard count > 0 else { return }
    if weight.notFiniteCount > 0 {
      // Names may have changed on the way: what there is in one place of the source may come out in another.
      let isOfSource = isPassedOn || sourceHoldsOthers ?? (source.notFinite() != nil)
      if !isPassedOn { sourceHoldsOthers = isOfSource }
      guard !isOfSource else { return }
    }
    let type = tensors.first { $0.notFiniteCount > 0 }?.dataType.rawValue ?? ""
    throw GraphError(
      tensor: entry.name, "became NaN or infinite in \(count) places, where the source holds numbers: they are beyond \(type)",
      remedy: "start from a checkpoint in BF16 or F32, or use a gentler method")
  }

  /// Writes what is left of the layout beside the graph's parameters, and closes the checkpoint.
  mutating func finish(passingOn source: any WeightSource) throws {
    for entry in layout.extras where digests[layout.nameReadBack(of: entry)] == nil {
      try write(try source.load(entry.name), entry, isPassedOn: true)
      source.release(entry.name)
    }
    try writer.finish()
  }

  /// Reads every weight again and compares it with what was handed to the writer.
  /// - Returns: what the report says of values that are no numbers, and were passed on.
  static func compare(_ written: ModelBundle, with digests: [TensorName: String], progress: ProgressHandler?) throws -> [String] {
    let names = written.weights.names
    let meter = WorkMeter(
      "Checking", costs: names.map { Double(written.weights.describe($0)?.shape.elementCount ?? 0) }, progress: progress)
    var unfit: [(name: String, count: Int)] = []
    for (index, name) in names.enumerated() {
      try Interruption.check()
      meter.begin(index)
      guard let expected = digests[TensorName(name)] else {
        throw RecipeError(name, "stands in the output and was never written", kind: .inputOutput)
      }
      guard try written.weights.digest(name) == expected else {
        throw RecipeError(
          name, "reads back other than it was written", remedy: "check the disk and run again", kind: .inputOutput)
      }
      // Codes were refused without numbers for scales.
      if case .dense? = written.weights.describe(name)?.storage, case let count = try written.weights.load(name).notFiniteCount, count > 0 {
        unfit.append((name, count))
      }
      written.weights.release(name)
    }
    guard let missing = digests.keys.map(\.text).sorted().first(where: { written.weights.describe($0) == nil }) else {
      meter.finish()
      return unfit.first.map { first in
        let total = unfit.reduce(0) { $0 + $1.count }
        let others = unfit.count > 1 ? " and \(unfit.count - 1) others" : ""
        return ["\(total) weights are NaN or infinite, as they are in the source: \(first.name)\(others)"]
      } ?? []
    }
    throw RecipeError(missing, "was written and cannot be found in the output", kind: .inputOutput)
  }
}
