import Compression
import Diagnostics
import Distribution
import Formats
import ModelGraph
import Tensors

/// Weights on their way into a checkpoint, with a digest of each as it must be read again, by the name that it is read under.
struct WeightOutput {
  private let layout: OutputLayout
  /// Nil where another process writes.
  private let writer: (any CheckpointWriter)?
  private let source: ModelGraph
  /// Whether the source has values that are no numbers; nil until that is asked.
  private var sourceHoldsOthers: Bool?
  private(set) var digests: [TensorName: String]

  /// - Parameters:
  ///   - source: the model that the weights come from: where it holds numbers alone, the output does.
  ///   - digests: of weights that an earlier run has written.
  init(_ layout: OutputLayout, to writer: (any CheckpointWriter)?, from source: ModelGraph, digests: [TensorName: String] = [:]) {
    (self.layout, self.writer, self.source, self.digests) = (layout, writer, source, digests)
  }

  /// Does not look for a stop: within a block that would leave activations ahead of the weights that a resumed run goes on from.
  mutating func write(_ weight: @autoclosure () throws -> Weight, _ entry: OutputLayout.Entry) throws {
    if writer != nil { try write(try weight(), entry, isPassedOn: false) }
  }

  private mutating func write(_ weight: Weight, _ entry: OutputLayout.Entry, isPassedOn: Bool) throws {
    // What the format does without cannot be read again.
    guard let writer, !entry.tensors.isEmpty else { return }
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
    guard let writer else { return }
    for entry in layout.extras where digests[layout.nameReadBack(of: entry)] == nil {
      try write(try source.load(entry.name), entry, isPassedOn: true)
      source.release(entry.name)
    }
    try writer.finish()
  }

  /// The digests of all weights, at every process.
  func digests(in group: ProcessGroup) throws -> [TensorName: String] {
    guard !group.isAlone else { return digests }
    let known = digests.reduce(into: [String: String]()) { $0[$1.key.text] = $1.value }
    return try group.broadcast(value: known, from: 0).reduce(into: [:]) { $0[TensorName($1.key)] = $1.value }
  }

  /// Reads every weight again and compares it with what was handed to the writer. Each process compares some.
  /// - Returns: what the report says of values that are no numbers, and were passed on.
  static func compare(
    _ written: ModelBundle, with digests: [TensorName: String], in group: ProcessGroup = .alone, progress: ProgressHandler?
  ) throws -> [String] {
    let names = written.weights.names
    let meter = WorkMeter(
      "Checking", costs: names.map { Double(written.weights.describe($0)?.shape.elementCount ?? 0) }, progress: progress)
    var counts = [Int](repeating: 0, count: names.count)
    for (index, name) in names.enumerated() where group.owns(index) {
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
        counts[index] = count
      }
      written.weights.release(name)
    }
    // What one process finds ends the others here, too.
    let found = try (0..<group.count).map { try group.broadcast(counts, from: $0) }
    let unfit = names.enumerated().map { (name: $1, count: found[$0 % group.count][$0]) }.filter { $0.count > 0 }
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
