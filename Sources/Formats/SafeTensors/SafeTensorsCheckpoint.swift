import Diagnostics
import Foundation
import Tensors

/// A safetensors checkpoint: a directory with one file or with shards and their index, or a single `.safetensors` file.
public struct SafeTensorsCheckpoint: Checkpoint {
  private struct Holder {
    let shard: Int
    let descriptor: TensorDescriptor
  }

  private let shards: [SafeTensorsFile]
  private let holders: NameTable<Holder>

  /// Opens a checkpoint and checks all of its headers.
  ///
  /// In a directory the index counts first, then `model.safetensors`, then the only `.safetensors` file there is. Every tensor of the
  /// index must be in the file that it names, every tensor of the shards must be in the index, and none may be in two shards.
  /// - Parameter extent: whether shards may end behind their headers.
  public init(_ location: URL, extent: CheckpointExtent = .complete) throws(CheckpointError) {
    var status = stat()
    guard stat(location.path, &status) == 0 else { throw CheckpointError.missingFile(location) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      try self.init(shards: [SafeTensorsFile(location, extent: extent)], index: nil)
      return
    }
    let directory = try CheckpointDirectory(location)
    if directory.contains(SafeTensorsIndex.fileName) {
      let index = try SafeTensorsIndex(directory.file(SafeTensorsIndex.fileName))
      let files = try index.fileNames.map { (name) throws(CheckpointError) in
        guard directory.contains(name) else {
          throw CheckpointError(
            kind: .missingInput, subject: index.file.relativePath, problem: "the shard \"\(name)\" that it lists is missing",
            remedy: "fetch that file too")
        }
        return try directory.file(name)
      }
      try self.init(shards: Self.open(files, extent), index: index)
    } else {
      try self.init(shards: [SafeTensorsFile(directory.onlyFile(), extent: extent)], index: nil)
    }
  }

  /// Opens files together: a large model has hundreds of headers of a hundred kilobytes each.
  /// - Throws: what the first of them in order that cannot be opened throws.
  private static func open(_ files: [URL], _ extent: CheckpointExtent) throws(CheckpointError) -> [SafeTensorsFile] {
    var results = [Result<SafeTensorsFile, CheckpointError>?](repeating: nil, count: files.count)
    results.withUnsafeMutableBufferPointer { results in
      // Each iteration writes its own element.
      nonisolated(unsafe) let results = results
      DispatchQueue.concurrentPerform(iterations: files.count) { index in
        do throws(CheckpointError) {
          results[index] = .success(try SafeTensorsFile(files[index], extent: extent))
        } catch {
          results[index] = .failure(error)
        }
      }
    }
    var shards: [SafeTensorsFile] = []
    for result in results { if let result { shards.append(try result.get()) } }
    return shards
  }

  private init(shards: [SafeTensorsFile], index: SafeTensorsIndex?) throws(CheckpointError) {
    let entries = shards.enumerated().flatMap { position, shard in
      shard.descriptors.map { NameTable<Holder>.Entry(name: $0.name, value: Holder(shard: position, descriptor: $0)) }
    }
    holders = NameTable(entries)
    self.shards = shards
    if let name = holders.duplicate {
      let files = shards.filter { $0.descriptor(name) != nil }.map(\.file.lastPathComponent)
      throw CheckpointError.malformed(
        file: index?.file ?? shards[0].file, tensor: name, "it is in \(files.joined(separator: " and in "))",
        remedy: "remove the shards that do not belong to this checkpoint")
    }
    if let index { try checkAgreement(with: index) }
  }

  private func checkAgreement(with index: SafeTensorsIndex) throws(CheckpointError) {
    for entry in index.holders {
      let holder = holders[entry.tensor]
      if holder?.shard == entry.file { continue }
      let found = holder.map { "it is in \(shards[$0.shard].file.lastPathComponent)" } ?? "no shard holds it"
      throw CheckpointError.malformed(
        file: index.file, tensor: entry.tensor, "it is not in \(index.fileNames[entry.file]) as the index says: \(found)",
        remedy: "fetch index and shards of the same revision")
    }
    // Every name of the index is a tensor: with as many of them there is nothing beside.
    if index.holders.count == holders.entries.count { return }
    let listed = Set(index.holders.map { TensorName($0.tensor) })
    let extra = holders.entries.filter { !listed.contains(TensorName($0.name)) }
    guard let first = extra.first else { return }
    let names = extra.prefix(3).map { CheckpointError.shortened($0.name) }.joined(separator: ", ")
    throw CheckpointError.malformed(
      file: shards[first.value.shard].file, "it holds tensors that the index does not list: \(names)\(extra.count > 3 ? " …" : "")",
      remedy: "fetch index and shards of the same revision, or add them to \"weight_map\" in \(SafeTensorsIndex.fileName)")
  }

  public var descriptors: [TensorDescriptor] { holders.entries.map(\.value.descriptor) }
  public var files: [URL] { shards.map(\.file) }
  public var holdsValues: Bool { shards.allSatisfy(\.holdsValues) }
  /// `__metadata__` of all shards; where they disagree on a key, the first shard counts.
  public var metadata: [String: String] {
    shards.reduce(into: [:]) { all, shard in all.merge(shard.metadata) { first, _ in first } }
  }

  public func descriptor(_ name: String) -> TensorDescriptor? { holders[name]?.descriptor }

  public func tensor(_ name: String) throws(CheckpointError) -> Tensor {
    guard let holder = holders[name] else {
      throw CheckpointError.missingTensor(name, in: shards.count == 1 ? shards[0].file : shards[0].file.deletingLastPathComponent())
    }
    return try shards[holder.shard].tensor(name)
  }

  /// The file that holds a tensor.
  public func file(of name: String) -> URL? { holders[name].map { shards[$0.shard].file } }

  /// Tells the system that a tensor will be read soon.
  public func prefetch(_ name: String) {
    if let holder = holders[name] { shards[holder.shard].prefetch(name) }
  }

  /// Gives the memory of a tensor back; see `SafeTensorsFile.release(_:)`.
  public func release(_ name: String) {
    if let holder = holders[name] { shards[holder.shard].release(name) }
  }
}
