import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

extension ModelBundle {
  /// An adapter of this model, in parts: by the scope of the layers.
  /// - Throws: for one that is malformed, of another model, or of an embedding.
  func adapters(in directory: URL) throws -> [String: LowRankAdapter] {
    let adapter = try AdapterCheckpoint(directory)
    try adapter.check(against: weights)
    var parts: [String: LowRankAdapter] = [:]
    for module in adapter.modules {
      guard module.kind == .linear, let down = module.a.asFloat32(), let up = module.b.asFloat32() else {
        throw RecipeError(directory.path, "adapts \(module.name), which is an embedding: that cannot be run", kind: .badData)
      }
      parts[module.name] = LowRankAdapter(
        down: down, up: up, scaling: Float(module.scaling), magnitude: module.magnitude.flatMap { $0.asFloat32() })
    }
    return parts
  }

  /// The model with an adapter that PEFT, mlx-lm or `deepseek-finetune` wrote, beside its weights, which stay as they are.
  /// - Throws: for an adapter that is malformed, of another model, or of an embedding.
  public func adapted(by directory: URL, pool: ThreadPool) throws -> ModelBundle {
    var copy = self
    for attached in try copy.graph.attach(adapters(in: directory)) {
      guard let norm = attached.norm, let magnitude = attached.magnitude else { continue }
      let (down, up) = (try Matrix(copy.graph[attached.down]), try Matrix(copy.graph[attached.up]))
      let lengths = Matrix(rows: 1, columns: copy.graph[magnitude].shape.elementCount)
      try AdaptedWeight(copy.graph[attached.weight], down: down, up: up, scaling: attached.scaling).norms(into: lengths, pool: pool)
      try copy.graph.replace(norm, with: .dense(Tensor(lengths.values(ofRow: 0), shape: copy.graph[norm].shape)))
    }
    return copy
  }

  /// Logits of the first tokens of a text, run as one sequence.
  /// - Parameter tokens: at most this many, and no more than the model's context.
  /// - Returns: the tokens, and a row of logits for each.
  public func logits(of text: String, tokens count: Int, pool: ThreadPool) throws -> (tokens: [Int32], logits: Matrix) {
    try requirePredictions(for: "logits")
    let tokens = Array(try tokenizer().encode(text).prefix(min(count, graph.maximumPositions)))
    guard let head = graph.blocks.last, !tokens.isEmpty else { throw RecipeError("text", "has no tokens", kind: .badData) }
    let interpreter = Interpreter(pool: pool), layout = SequenceLayout(lengths: [tokens.count])
    let hidden = try interpreter.hidden(of: LoadedModel(graph), tokens: tokens, sequences: layout)
    return (tokens, try interpreter.run(head, of: graph, weights: LoadedBlock(head, of: graph), input: hidden, sequences: layout))
  }

  /// Writes the logits of a text's first tokens: a safetensors file of `tokens` (int32 `[n]`) and `logits` (float32 `[n, vocabulary]`).
  public func saveLogits(of text: URL, tokens count: Int, to file: URL, pool: ThreadPool) throws {
    let (tokens, logits) = try logits(of: TextFile.readPassages(text).text, tokens: count, pool: pool)
    let ids = tokens.withUnsafeBytes { bytes in Tensor(dataType: .int32, shape: [tokens.count]) { $0.copyMemory(from: bytes) } }
    try SafeTensorsFile.write([("tokens", ids), ("logits", logits.tensor([logits.rows, logits.columns]))], to: file)
  }
}
