import Compression
import Execution
import Foundation
import ModelGraph
import Recipes
import Tensors
import Testing

/// Inference in 16 bits: near float32, the same for any number of threads.
@Suite struct ArithmeticTests {
  private static let tokens = (0..<48).map { Int32($0 * 37 % 1000) }

  private func graph(_ pass: (any CompressionPass)?) throws -> (ModelGraph, URL) {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("deepseek-arithmetic-\(UUID().uuidString)")
    guard let pass else { return (try ModelBundle(opening: "demo").graph, directory) }
    var settings = RunSettings(output: directory)
    settings.evaluation = nil
    _ = try CompressionRun(model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass]), settings: settings).execute()
    return (try ModelBundle(opening: directory.path).graph, directory)
  }

  private func logits(_ graph: ModelGraph, _ arithmetic: Arithmetic, pieces: [Int], threads: Int = 2) throws -> [Float] {
    let interpreter = Interpreter(pool: ThreadPool(threads: threads)).computing(in: arithmetic)
    let session = try DecodingSession(graph: graph, interpreter: interpreter, capacity: Self.tokens.count)
    var (position, last) = (0, [Float]())
    for piece in pieces {
      last = try session.append(Array(Self.tokens[position..<position + piece]))
      position += piece
    }
    return last
  }

  /// Root mean square of the differences over that of the values.
  private func distance(_ a: [Float], _ b: [Float]) -> Double {
    let noise = zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    return (noise / b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
  }

  enum Form: CaseIterable { case dense, int8, int4, int3, asymmetric, activations }

  private func pass(_ form: Form) -> RoundToNearest? {
    switch form {
    case .dense: nil
    case .int8: RoundToNearest(bits: 8)
    case .int4: RoundToNearest(bits: 4, groupSize: 32)
    case .int3: RoundToNearest(bits: 3, groupSize: 64)
    case .asymmetric: RoundToNearest(bits: 4, method: .asymmetric, groupSize: 128)
    case .activations:
      {
        var pass = RoundToNearest(bits: 8)
        pass.targets.activations = .int8
        return pass
      }()
    }
  }

  @Test(arguments: Form.allCases)
  func staysNearFloat32(_ form: Form) throws {
    let (graph, directory) = try graph(pass(form))
    defer { try? FileManager.default.removeItem(at: directory) }
    for pieces in [[48], [20, 28], [45, 1, 1, 1]] {
      let (exact, fast) = (try logits(graph, .float32, pieces: pieces), try logits(graph, .sixteenBit, pieces: pieces))
      let found = distance(fast, exact)
      // Codes meet 16-bit integers; other weights bfloat16, which rounds inputs by up to 1/256. The head, no code here, has one row.
      #expect(found < (form == .dense ? 0.02 : 0.002), "\(form) \(pieces): \(found)")
      #expect(try fast == logits(graph, .sixteenBit, pieces: pieces, threads: 1), "\(form) \(pieces)")
    }
    if form == .dense { #expect(try distance(logits(graph, .sixteenBit, pieces: [48]), logits(graph, .float32, pieces: [48])) > 0) }
  }

  /// A sequence that begins again knows nothing of the one before it.
  @Test func aSessionBeginsAgain() throws {
    let graph = try ModelBundle(opening: "demo").graph
    let session = try DecodingSession(
      graph: graph, interpreter: Interpreter(pool: ThreadPool(threads: 1)), capacity: Self.tokens.count)
    let first = try session.append(Self.tokens)
    session.restart()
    #expect(session.length == 0)
    #expect(try session.append(Self.tokens) == first)
  }
}
