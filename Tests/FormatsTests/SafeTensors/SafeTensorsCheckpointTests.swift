import Diagnostics
import Formats
import Foundation
import Tensors
import Testing

/// Directories: which file is opened, and what an index may say.
@Suite struct SafeTensorsCheckpointTests {
  private let scratch: SafeTensorsScratch
  private let first = "model-00001-of-00002.safetensors"
  private let second = "model-00002-of-00002.safetensors"

  init() throws { scratch = try SafeTensorsScratch() }

  private func failure() -> CheckpointError? {
    do throws(CheckpointError) {
      _ = try SafeTensorsCheckpoint(scratch.directory)
      return nil
    } catch { return error }
  }

  private func shards() throws {
    try scratch.file(first, vectors: ["a": [1], "c": [2, 3]])
    try scratch.file(second, vectors: ["b": [4]])
  }

  @Test func readsShards() throws {
    try shards()
    try scratch.index(["a": first, "b": second, "c": first])
    let checkpoint = try SafeTensorsCheckpoint(scratch.directory)
    #expect(checkpoint.descriptors.map(\.name) == ["a", "b", "c"])
    #expect(checkpoint.files.map(\.lastPathComponent) == [first, second])
    #expect(try checkpoint.tensor("b").float32Values() == [4])
    #expect(checkpoint.file(of: "c")?.lastPathComponent == first)
    let error = #expect(throws: CheckpointError.self) { try checkpoint.tensor("d") }
    #expect(error?.description.contains("no tensor \"d\"") == true)
  }

  /// A file that ends exactly behind its header says what it would hold, to who asks for no more; one that holds some of it is damaged.
  @Test func headersAreEnoughWhereTheyAreAskedFor() throws {
    try shards()
    try scratch.index(["a": first, "b": second, "c": first])
    let whole = try Data(contentsOf: scratch[first])
    try whole.dropLast(12).write(to: scratch[first])
    #expect(failure()?.kind == .badData)
    let checkpoint = try SafeTensorsCheckpoint(scratch.directory, extent: .headers)
    #expect(!checkpoint.holdsValues)
    #expect(checkpoint.descriptor("c")?.shape == [2] && checkpoint.descriptors.count == 3)
    let error = #expect(throws: CheckpointError.self) { try checkpoint.tensor("c") }
    #expect(error?.kind == .badData && error?.description.contains("header alone") == true)
    #expect(try checkpoint.tensor("b").float32Values() == [4])
    for cut in [4, 8] {
      try whole.dropLast(cut).write(to: scratch[first])
      #expect(throws: CheckpointError.self) { try SafeTensorsCheckpoint(scratch.directory, extent: .headers) }
    }
    try whole.dropLast(13).write(to: scratch[first])
    #expect(throws: CheckpointError.self) { try SafeTensorsCheckpoint(scratch.directory, extent: .headers) }
    try whole.write(to: scratch[first])
    #expect(try SafeTensorsCheckpoint(scratch.directory, extent: .headers).holdsValues)
  }

  @Test func tensorsOutliveTheCheckpointAndRelease() throws {
    let count = 100_000
    try scratch.file("model.safetensors", vectors: ["big": (0..<count).map(Float.init)])
    var checkpoint: SafeTensorsCheckpoint? = try SafeTensorsCheckpoint(scratch.directory)
    let tensor = try #require(try checkpoint?.tensor("big"))
    checkpoint?.prefetch("big")
    checkpoint?.release("big")
    checkpoint?.release("unknown")
    checkpoint = nil
    try FileManager.default.removeItem(at: scratch["model.safetensors"])
    #expect(tensor.float32Values()?.last == Float(count - 1))
    #expect(tensor.float32Values()?.reduce(0) { Swift.max($0, $1) } == Float(count - 1))
  }

  @Test func aPlainFileNeedsNoIndex() throws {
    try scratch.file("weights.safetensors", vectors: ["a": [1]])
    #expect(try SafeTensorsCheckpoint(scratch.directory).files.map(\.lastPathComponent) == ["weights.safetensors"])
    #expect(try SafeTensorsCheckpoint(scratch["weights.safetensors"]).descriptors.count == 1)
    try scratch.file("model.safetensors", vectors: ["b": [1]])
    #expect(try SafeTensorsCheckpoint(scratch.directory).descriptors.map(\.name) == ["b"])
  }

  @Test func saysWhatIsThere() throws {
    #expect(failure()?.problem.contains("it holds nothing") == true)
    try scratch.file("pytorch_model.bin", [1])
    #expect(failure()?.problem.contains("pytorch_model.bin") == true)
    #expect(failure()?.kind == .missingInput)
    try shards()
    #expect(failure()?.description.contains("2 safetensors files (\(first), \(second)) and no model.safetensors.index.json") == true)
  }

  @Test(arguments: ["../model.safetensors", "a/b.safetensors", "/etc/passwd", "a\\b", "..", ".", ""]) func refusesPaths(name: String) throws
  {
    try shards()
    try scratch.index(["a": name])
    #expect(failure()?.kind == .badData)
    #expect(failure()?.problem.contains("not a plain file name") == true)
  }

  @Test func refusesAMissingShard() throws {
    try scratch.file(first, vectors: ["a": [1], "c": [2, 3]])
    try scratch.index(["a": first, "b": second, "c": first])
    #expect(failure()?.kind == .missingInput)
    #expect(failure()?.problem.contains(second) == true)
  }

  @Test func refusesAWrongMap() throws {
    try shards()
    try scratch.index(["a": second, "b": second, "c": first])
    #expect(failure()?.problem == "it is not in \(second) as the index says: it is in \(first)")
    try scratch.index(["a": first, "b": second, "c": first, "d": first])
    #expect(failure()?.description.contains("tensor d: it is not in \(first) as the index says: no shard holds it") == true)
  }

  @Test func refusesTensorsThatTheIndexLacks() throws {
    try shards()
    try scratch.index(["a": first, "b": second])
    #expect(failure()?.description.contains("\(first): it holds tensors that the index does not list: c; fetch index and shards") == true)
  }

  @Test func refusesATensorInTwoShards() throws {
    try scratch.file(first, vectors: ["a": [1]])
    try scratch.file(second, vectors: ["a": [1], "b": [4]])
    try scratch.index(["a": first, "b": second])
    #expect(failure()?.description.contains("tensor a: it is in \(first) and in \(second)") == true)
  }

  @Test(arguments: ["", "[]", "{}", "{\"weight_map\":{}}", "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}"])
  func refusesABrokenIndex(text: String) throws {
    try scratch.file("model.safetensors.index.json", Array(text.utf8))
    #expect(failure()?.kind == .badData)
  }

  @Test func linksMayNotLeaveTheDirectory() throws {
    let elsewhere = try SafeTensorsScratch()
    try elsewhere.file("secret.safetensors", vectors: ["a": [1]])
    let link = scratch["model.safetensors"]
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: elsewhere["secret.safetensors"])
    #expect(failure()?.problem.contains("symbolic link to a file outside") == true)
    // Named by the user himself it is his file.
    #expect(try SafeTensorsCheckpoint(link).descriptors.count == 1)
    try FileManager.default.removeItem(at: link)
    try scratch.file("real.safetensors", vectors: ["a": [1]])
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: scratch["real.safetensors"])
    #expect(try SafeTensorsCheckpoint(scratch.directory).descriptors.count == 1)
  }

  @Test func linksOfTheDownloadCacheAreFollowed() throws {
    let blobs = scratch["blobs"]
    let revision = scratch["snapshots"].appendingPathComponent("abc")
    for directory in [blobs, revision] { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true) }
    try scratch.file("blobs/1234", vectors: ["a": [1]])
    try FileManager.default.createSymbolicLink(
      atPath: revision.appendingPathComponent("model.safetensors").path, withDestinationPath: "../../blobs/1234")
    #expect(try SafeTensorsCheckpoint(revision).descriptors.count == 1)
  }
}
