import Compression
import Diagnostics
import Distribution
import Formats
import ModelGraph
import Tensors

/// Weights on their way into a checkpoint, with a digest of each as it must be read again, by the name that it is read under.
///
/// Several processes write some of them each, to their places in the same files, where the container allows it; else the first one writes all.
/// All of them come to the same calls in the same order.
struct WeightOutput {
  private let layout: OutputLayout
  private let group: ProcessGroup
  /// Nil where others write.
  private let writer: (any CheckpointWriter)?
  private let source: ModelGraph
  /// Whether each process writes some.
  let isDivided: Bool
  private var shares: WorkShares
  /// Whether the source has values that are no numbers; nil until that is asked.
  private var sourceHoldsOthers: Bool?
  /// Of what this process and, up to the last exchange, the others have written.
  private(set) var digests: [TensorName: String]
  /// What this process has written since the last exchange.
  private var news = News()

  /// What one process tells the others.
  private struct News: Codable {
    var tensors: [String] = []
    var digests: [String: String] = [:]
  }

  /// - Parameters:
  ///   - group: the processes that write together.
  ///   - source: the model that the weights come from: where it holds numbers alone, the output does.
  ///   - digests: of weights that an earlier run has written.
  ///   - makeWriter: creates the files, or opens those that the first process has created.
  init(
    _ layout: OutputLayout, in group: ProcessGroup = .alone, from source: ModelGraph, digests: [TensorName: String] = [:],
    to makeWriter: (WriterRole) throws -> any CheckpointWriter
  ) throws {
    (self.layout, self.group, self.source, self.digests) = (layout, group, source, digests)
    isDivided = !group.isAlone && layout.encoding.isDivisible
    shares = WorkShares(of: group)
    let owner = group.isFirst ? try makeWriter(.owner) : nil
    // The files are there before others open them.
    if isDivided { try group.wait() }
    writer = try isDivided && !group.isFirst ? makeWriter(.contributor) : owner
  }

  /// Does not look for a stop: within a block that would leave activations ahead of the weights that a resumed run goes on from.
  /// - Parameter owner: the process that has the weight; nil where all have it, and any may write it.
  mutating func write(_ weight: @autoclosure () throws -> Weight, _ entry: OutputLayout.Entry, by owner: Int? = nil) throws {
    if isWritten(entry, by: owner) { try write(try weight(), entry, isPassedOn: false) }
  }

  /// Whether this process is to write something; every process asks for everything.
  private mutating func isWritten(_ entry: OutputLayout.Entry, by owner: Int?) -> Bool {
    guard isDivided else { return group.isFirst }
    return (owner ?? shares.take(Double(entry.byteCount))) == group.rank
  }

  private mutating func write(_ weight: Weight, _ entry: OutputLayout.Entry, isPassedOn: Bool) throws {
    // What the format does without cannot be read again.
    guard let writer, !entry.tensors.isEmpty else { return }
    let encoded = try layout.encoding.encode(weight, as: entry)
    try requireNumbers(encoded.map(\.1), of: weight, entry, isPassedOn: isPassedOn)
    for (descriptor, tensor) in encoded {
      try writer.write(descriptor.name, tensor)
      news.tensors.append(descriptor.name)
    }
    let (name, digest) = (layout.nameReadBack(of: entry), layout.encoding.expected(weight, as: entry).digest())
    digests[name] = digest
    news.digests[name.text] = digest
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

  /// Waits until what all processes have written is on the disk.
  /// - Returns: the digests of all of it.
  mutating func flush() throws -> [TensorName: String] {
    try writer?.suspend()
    try exchange()
    return digests
  }

  /// Writes what is left of the layout beside the graph's parameters, and closes the checkpoint.
  mutating func finish(passingOn source: any WeightSource) throws {
    try exchange()
    var known = Set(digests.keys)
    for entry in layout.extras where known.insert(layout.nameReadBack(of: entry)).inserted {
      guard isWritten(entry, by: nil) else { continue }
      try write(try source.load(entry.name), entry, isPassedOn: true)
      source.release(entry.name)
    }
    // What the first process gives a name to is on the disk.
    if !group.isFirst { try writer?.finish() }
    try exchange()
    if group.isFirst { try writer?.finish() }
  }

  /// Tells every process what the others have written.
  private mutating func exchange() throws {
    guard !group.isAlone else { return }
    for root in 0..<group.count {
      let other = try group.broadcast(value: news, from: root)
      guard root != group.rank else { continue }
      for (name, digest) in other.digests { digests[TensorName(name)] = digest }
      if group.isFirst, let writer = writer as? any DividedCheckpointWriter { try writer.acknowledge(other.tensors) }
    }
    news = News()
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
