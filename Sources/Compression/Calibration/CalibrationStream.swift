import Diagnostics
import Distribution
import Execution
import Foundation
import ModelGraph

/// Calibration text on its way through a model that is being compressed: the activations in front of the block at work, behind the blocks that
/// are compressed already, and, when a pass compares, those of the uncompressed model.
///
/// Memory is the activations of one place of the model; beyond `memoryLimit` they wait in a file. Several processes divide the batches: each
/// has the activations of its own.
public final class CalibrationStream {
  let interpreter: Interpreter
  /// The model before any calibrated pass.
  let source: ModelGraph
  let windows: [[Int32]]
  let batches: [CalibrationBatch]
  let compressed: ActivationStore
  /// Nil when nothing compares.
  let reference: ActivationStore?
  /// Where activations wait; nil for memory.
  private let spillDirectory: URL?
  /// Where they would, and beyond which size.
  private let overflow: (directory: URL, limit: Int)
  /// The block that the activations stand in front of.
  private(set) var position = 0
  /// Whether statistics count magnitudes too, so that one forward serves the passes that quantize weights and the one that quantizes inputs.
  let gathersHistograms: Bool
  /// False from the first batch that was sent through a block until the last.
  public private(set) var isConsistent = true

  /// - Parameters:
  ///   - windows: token ids, each window a sequence of its own.
  ///   - needs: what the passes of the run ask for.
  ///   - memoryLimit: bytes of activations that may stay in memory.
  ///   - directory: where more than that goes.
  ///   - batchRows: tokens that a block works on together.
  public init(
    windows: [[Int32]], of source: ModelGraph, interpreter: Interpreter, needs: Set<PassNeed>, memoryLimit: Int = 512 << 20,
    spillingTo directory: URL, batchRows: Int = 2048
  ) throws {
    self.interpreter = interpreter
    self.source = source
    gathersHistograms = needs.contains(.inputHistograms)
    self.windows = windows
    batches = CalibrationBatch.cut(windows, rows: batchRows)
    let widest = source.body.compactMap { source[source.boundary(of: $0).output].width }.max() ?? 0
    let group = interpreter.group
    let rows = batches.enumerated().map { group.owns($0.offset) ? $0.element.layout.rows : 0 }
    let keepsReference = needs.contains(.referenceActivations)
    let bytes = rows.reduce(0, +) * widest * MemoryLayout<Float>.stride * (keepsReference ? 2 : 1)
    let spill = bytes > memoryLimit ? directory : nil
    spillDirectory = spill
    overflow = (directory, memoryLimit)
    compressed = try ActivationStore(rows: rows, widest: widest, spillingTo: spill)
    reference = keepsReference ? try ActivationStore(rows: rows, widest: widest, spillingTo: spill) : nil
  }

  /// A place for activations of this width for every batch, kept as the stream's own are. Those of all batches may need a file where those of this
  /// process alone do not.
  func makeStore(width: Int) throws -> ActivationStore {
    let rows = batches.map(\.layout.rows)
    let isLarge = rows.reduce(0, +) * width * MemoryLayout<Float>.stride > overflow.limit
    return try ActivationStore(rows: rows, widest: width, spillingTo: isLarge ? overflow.directory : spillDirectory)
  }

  /// The processes that divide the batches.
  var group: ProcessGroup { interpreter.group }

  /// The row of the text that each batch begins with.
  var starts: [Int] { batches.indices.map { batches[..<$0].reduce(0) { $0 + $1.layout.rows } } }

  /// The activations of a batch, at every process; all of them must ask.
  func load(_ batch: Int, from store: ActivationStore) throws -> Matrix {
    try group.broadcast(group.owns(batch) ? store.load(batch) : nil, from: group.owner(of: batch))
  }

  /// What a pass sees of the text in front of this block; nil in front of the first, which takes tokens.
  public func calibration(for block: Block, at index: Int, sensitivity: OutputSensitivity?) -> BlockCalibration? {
    index == 0 || index != position ? nil : BlockCalibration(stream: self, block: block, sensitivity: sensitivity)
  }

  /// Sends the text through the block at work as it is in `graph` now, and through the uncompressed one beside it.
  public func advance(past block: Block, in graph: ModelGraph) throws {
    isConsistent = false
    if block.kind != .head {
      try run(block, of: graph, from: position == 0 ? nil : compressed, into: compressed)
      if let reference { try run(block, of: source, from: position == 0 ? nil : reference, into: reference) }
    }
    position += 1
    isConsistent = true
  }

  private func run(_ block: Block, of graph: ModelGraph, from input: ActivationStore?, into output: ActivationStore) throws {
    let isShared = interpreter.isTensorParallel && input != nil
    let runner = isShared ? interpreter.forSharedRows(wholeExperts: true) : interpreter
    func read() throws -> LoadedBlock { try LoadedBlock(block, of: graph, experts: .passing, for: runner) }
    let weights = isShared ? try group.settle(read) : try read()
    for (index, batch) in batches.enumerated() where isShared || group.owns(index) {
      if isShared { try group.checkInterruption() } else { try Interruption.check() }
      let result =
        if let input {
          try runner.run(
            block, of: graph, weights: weights, input: isShared ? try load(index, from: input) : try input.load(index),
            sequences: batch.layout)
        } else {
          try interpreter.run(
            block, of: graph, weights: weights, tokens: Array(windows[batch.windows].joined()), sequences: batch.layout)
        }
      if group.owns(index) { try output.store(result, for: index) }
    }
  }

  /// How many bytes `save` writes in front of the block of that index.
  public static func savedByteCount(windows: [[Int32]], of source: ModelGraph, needs: Set<PassNeed>, position: Int) -> Int {
    guard source.blocks.indices.contains(position - 1) else { return 0 }
    let stores = needs.contains(.referenceActivations) ? 2 : 1
    return windows.reduce(0) { $0 + $1.count } * width(behind: position - 1, of: source) * MemoryLayout<Float>.stride * stores
  }

  private static func width(behind block: Int, of source: ModelGraph) -> Int {
    source[source.boundary(of: source.blocks[block]).output].width ?? 0
  }

  /// The activations as bytes, so that a run that is resumed need not find them again, however many processes it has. The first process writes.
  public func save(to url: URL) throws {
    // One that cannot write still takes what the others send.
    var written = Result { group.isFirst ? try ActivationFile(creating: url) : nil }
    for store in [compressed, reference].compactMap({ $0 }) {
      for batch in batches.indices where position > 0 {
        let matrix: Matrix
        do { matrix = try load(batch, from: store) } catch { throw group.isAlone ? error : LostExchange(error) }
        written = written.flatMap { file in
          Result {
            try file?.append(matrix)
            return file
          }
        }
      }
    }
    try written.get()?.finish()
  }

  /// Takes up what `save` wrote in front of the block of that index.
  public func restore(from url: URL, position: Int) throws {
    let reader = try ActivationFile(opening: url)
    self.position = position
    guard position > 0 else { return }
    let width = Self.width(behind: position - 1, of: source)
    for store in [compressed, reference].compactMap({ $0 }) {
      for (index, batch) in batches.enumerated() {
        let matrix = Matrix(rows: batch.layout.rows, columns: width)
        try reader.read(into: matrix)
        if group.owns(index) { try store.store(matrix, for: index) }
      }
    }
  }
}

/// Whole windows that a block works on together.
struct CalibrationBatch: Sendable {
  let windows: Range<Int>
  let layout: SequenceLayout

  static func cut(_ windows: [[Int32]], rows limit: Int) -> [CalibrationBatch] {
    var batches: [CalibrationBatch] = []
    var start = 0
    while start < windows.count {
      var (end, rows) = (start, 0)
      while end < windows.count, end == start || rows + windows[end].count <= limit {
        rows += windows[end].count
        end += 1
      }
      batches.append(CalibrationBatch(windows: start..<end, layout: SequenceLayout(lengths: windows[start..<end].map(\.count))))
      start = end
    }
    return batches
  }
}
