import Compression
import Diagnostics
import Formats
import ModelGraph
import Tensors

/// Weights on their way into a checkpoint, with a digest of each as it must be read again, by the name that it is read under.
struct WeightOutput {
  private let layout: OutputLayout
  private let writer: any CheckpointWriter
  private(set) var digests: [TensorName: String]

  /// - Parameter digests: of weights that an earlier run has written.
  init(_ layout: OutputLayout, to writer: any CheckpointWriter, digests: [TensorName: String] = [:]) {
    (self.layout, self.writer, self.digests) = (layout, writer, digests)
  }

  /// Does not look for a stop: within a block that would leave activations ahead of the weights that a resumed run goes on from.
  mutating func write(_ weight: Weight, _ entry: OutputLayout.Entry) throws {
    // What the format does without cannot be read again.
    guard !entry.tensors.isEmpty else { return }
    for (descriptor, tensor) in try layout.encoding.encode(weight, as: entry) { try writer.write(descriptor.name, tensor) }
    digests[layout.nameReadBack(of: entry)] = layout.encoding.expected(weight, as: entry).digest()
  }

  /// Writes what is left of the layout beside the graph's parameters, and closes the checkpoint.
  mutating func finish(passingOn source: any WeightSource) throws {
    for entry in layout.extras where digests[layout.nameReadBack(of: entry)] == nil {
      try write(try source.load(entry.name), entry)
      source.release(entry.name)
    }
    try writer.finish()
  }

  /// Reads every weight again and compares it with what was handed to the writer.
  static func compare(_ written: ModelBundle, with digests: [TensorName: String], progress: ProgressHandler?) throws {
    let names = written.weights.names
    let meter = WorkMeter(
      "Checking", costs: names.map { Double(written.weights.describe($0)?.shape.elementCount ?? 0) }, progress: progress)
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
      written.weights.release(name)
    }
    guard let missing = digests.keys.map(\.text).sorted().first(where: { written.weights.describe($0) == nil }) else {
      meter.finish()
      return
    }
    throw RecipeError(missing, "was written and cannot be found in the output", kind: .inputOutput)
  }
}
