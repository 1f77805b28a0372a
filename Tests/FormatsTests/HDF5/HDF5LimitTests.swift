import Diagnostics
import Foundation
import StructuredData
import Tensors
import Testing

@testable import Formats

/// What a small file must not be able to ask for.
@Suite struct HDF5LimitTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func file(_ name: String, attributes count: Int) throws -> URL {
    let url = directory.url.appendingPathComponent(name)
    let attributes = Dictionary(uniqueKeysWithValues: (0..<count).map { ("attribute\($0)", "") })
    let writer = try HDF5Writer(
      creating: url, tensors: [TensorDescriptor(name: "weight", dataType: .float32, shape: [1])], attributes: attributes)
    try writer.write("weight", Tensor([1], shape: [1]))
    try writer.finish()
    return url
  }

  @Test func attributesAreCounted() throws {
    #expect(try HDF5Checkpoint(opening: file("some.h5", attributes: 4000)).attributes.count == 4000)
    let many = try file("many.h5", attributes: 5000)
    let error = #expect(throws: CheckpointError.self) { try HDF5Checkpoint(opening: many) }
    #expect(error?.kind == .badData && error?.problem == "it has more than 4096 attributes")
  }
}
