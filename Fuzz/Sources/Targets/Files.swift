import DeepSeekOptimize
import Foundation

extension UnsafeRawBufferPointer {
  /// Writes the bytes over whatever the file holds.
  func write(to file: URL) throws {
    let handle = open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard handle >= 0 else { throw FileProblem(file: file.path, code: errno) }
    defer { close(handle) }
    var written = 0
    while written < count {
      let result = Foundation.write(handle, baseAddress.map { $0 + written }, count - written)
      guard result > 0 else { throw FileProblem(file: file.path, code: errno) }
      written += result
    }
  }
}

/// The fuzzer's own files cannot be written; no fault of an input.
struct FileProblem: Error {
  let file: String
  let code: Int32
}

enum Repository {
  /// The root of the package, in which fixtures of the tests are found.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func file(_ path: String) -> URL { root.appendingPathComponent(path) }

  /// Copies a file: one that is reached by a link out of its directory would be refused.
  static func copy(_ path: String, to target: URL) throws {
    try FileManager.default.copyItem(at: file(path), to: target)
  }
}

/// Tensors of at most this many bytes are read; larger ones cost time and show nothing new.
private let readLimit = 1 << 20

extension Checkpoint {
  /// Reads the tensors.
  func readAll() throws {
    for descriptor in descriptors where (descriptor.byteCount ?? .max) <= readLimit {
      let tensor = try tensor(descriptor.name)
      _ = tensor.float32Values()
      tensor.withUnsafeBytes { Blackhole.take($0) }
      release(descriptor.name)
    }
  }
}

extension WeightSource {
  /// Reads the weights, and dequantizes them.
  func readAll() throws {
    for name in names {
      guard let (shape, _) = describe(name), let count = shape.checkedElementCount, count <= readLimit else { continue }
      try load(name).float32()?.withUnsafeBytes { Blackhole.take($0) }
      release(name)
    }
  }
}

/// Where bytes are read so that no compiler can leave the reading out, and the address sanitizer sees it.
enum Blackhole {
  static func take(_ bytes: UnsafeRawBufferPointer) {
    var sum: UInt8 = 0
    for byte in bytes { sum &+= byte }
    withExtendedLifetime(sum) {}
  }
}
