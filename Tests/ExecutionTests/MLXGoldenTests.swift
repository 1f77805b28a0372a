import Execution
import Formats
import Foundation
import Recipes
import Tensors
import Testing

/// Models that mlx-lm quantized and saved against its logits (make-mlx-goldens.py).
@Suite struct MLXGoldenTests {
  private static let fixtures = Bundle.module.resourceURL?.appendingPathComponent("MLXFixtures") ?? URL(fileURLWithPath: "MLXFixtures")

  @Test(arguments: ["mixture", "latent"])
  func logitsAreThoseOfMLX(_ name: String) throws {
    let folder = Self.fixtures.appendingPathComponent(name)
    let golden = try SafeTensorsFile(folder.appendingPathComponent("logits.safetensors"))
    let model = try ModelBundle(opening: folder.appendingPathComponent("model.safetensors").path)
    let tokens = try golden.tensor("tokens")
    let window = tokens.withUnsafeBytes { bytes in
      (0..<tokens.shape.elementCount).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self) }
    }
    let expected = try #require(golden.tensor("logits").float32Values())
    let found = try GoldenModel.logits(model.graph, windows: [window], interpreter: Interpreter(pool: ThreadPool(threads: 2)))
    try #require(found.rows * found.columns == expected.count)
    let largest = expected.map(abs).max() ?? 0
    let difference = expected.enumerated().map { abs($1 - found.pointer[$0]) }.max() ?? .infinity
    #expect(difference <= 1e-4 * largest, "\(difference) of \(largest)")
  }
}
