import Diagnostics
import Execution
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// The same for passes over a model: transforms, feedback, learned rounding, zeros.
@Suite struct HostilePassTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  /// What a matrix of the model holds in place of its own.
  enum Matter: CaseIterable {
    case zeroMatrix, zeroRows, zeroColumns, denormals, constants, spike, halfEdge

    func value(row: Int, column: Int) -> Float? {
      switch self {
      case .zeroMatrix: 0
      case .zeroRows: row % 3 == 0 ? 0 : nil
      case .zeroColumns: column % 8 < 4 ? 0 : nil
      case .denormals: (row + column) % 2 == 0 ? 0x1p-130 : -0x1p-131
      case .constants: 0.25
      case .spike: row == 1 && column == 3 ? 65504 : nil
      case .halfEdge: (row * 5 + column) % 2 == 0 ? 65504 : -65504
      }
    }
  }

  static let passes: [(name: String, passes: [any CompressionPass])] = {
    func feedback(_ bits: Int, _ change: (inout GPTQ) -> Void = { _ in }) -> GPTQ {
      var pass = GPTQ(bits: bits, groupSize: 8)
      change(&pass)
      return pass
    }
    var learned = AutoRound(bits: 3, groupSize: 8, iterations: 3)
    learned.batchWindows = 2
    return [
      ("rtn", [RoundToNearest(bits: 4, groupSize: 8)]), ("mse", [MinimumSquaredError(bits: 3, method: .asymmetric, groupSize: 8)]),
      ("hqq", [HalfQuadratic(bits: 3, method: .asymmetric, groupSize: 8)]), ("imatrix", [ImportanceMatrix(bits: 4, groupSize: 8)]),
      ("gptq", [feedback(4)]), ("gptq at 2 bits", [feedback(2) { $0.targets.method = .asymmetric }]),
      ("gptq, two-sided", [feedback(3) { $0.outputSensitivity = true }]), ("gptq, moved", [feedback(4) { $0.retarget = true }]),
      ("awq", [ActivationAware(bits: 4, groupSize: 8)]), ("autoround", [learned]),
      ("smooth", [SmoothQuant(), RoundToNearest(bits: 8)]), ("rotate", [HadamardRotation(), RoundToNearest(bits: 4, groupSize: 8)]),
      ("magnitude", [Sparsification(method: .magnitude)]), ("wanda", [Sparsification(method: .wanda, pattern: .twoOfFour)]),
      ("sparsegpt", [Sparsification(method: .sparsegpt)]), ("nf4", [NormalFloat(groupSize: 8)]),
    ]
  }()

  /// Every pass, over a model with that in one of its matrices: what is stored is finite, or the failure names the layer or block.
  @Test(arguments: Matter.allCases) func whatIsStoredIsFinite(_ matter: Matter) throws {
    for (name, passes) in Self.passes {
      for place in ["layers.0.v.weight", "layers.0.up.weight", "layers.0.down.weight"] {
        let label: Comment = "\(name), \(matter) in \(place)"
        var fixture = DecoderFixture(layers: 1)
        fixture.replacing = { $0 == place ? matter.value(row: $1, column: $2) : nil }
        do {
          let (graph, records) = try fixture.compressed(passes, interpreter)
          for id in graph.parameterIDs {
            let values: [Float]?
            switch try graph[id].load() {
            case .dense(let tensor): values = tensor.float32Values()
            case .quantized(let tensor): values = tensor.dequantized().float32Values()
            }
            let isFinite = values?.allSatisfy(\.isFinite) == true
            #expect(isFinite, "\(label): \(graph[id].name)")
          }
          for layer in records.flatMap(\.layers) { #expect((0...layer.weights).contains(layer.clipped), label) }
        } catch {
          let failure = try #require(error as? any Failure, label)
          #expect(failure.kind == .badData && failure.subject.contains("layers.0"), "\(label): \(failure)")
        }
      }
    }
  }

  /// A weight or a gain that is no number ends every pass, with the name of what is at fault.
  @Test(arguments: [Float.nan, .infinity, -.infinity]) func whatIsNoNumberIsRefusedByName(_ bad: Float) throws {
    for (name, passes) in Self.passes {
      for place in ["layers.0.q.weight", "layers.0.down.weight"] {
        var fixture = DecoderFixture(layers: 1)
        fixture.replacing = { $0 == place && $1 == 2 && $2 == 5 ? bad : nil }
        let error = #expect(throws: (any Error).self, "\(name), \(place)") { try fixture.compressed(passes, interpreter) }
        let failure = try #require(error as? any Failure, "\(name), \(place)")
        #expect(failure.kind == .badData && failure.subject.contains("layers.0"), "\(name), \(place): \(failure)")
      }
    }
  }
}
