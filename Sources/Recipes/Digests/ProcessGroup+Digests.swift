import Distribution
import Foundation

extension ProcessGroup {
  /// The SHA-256 of files, each found by one process; nothing for one alone, which digests them when it is asked.
  func digests(of files: [URL]) throws -> [URL: String] {
    guard !isAlone else { return [:] }
    var shares = WorkShares(of: self)
    // By the sizes that the first process finds.
    let owners = try broadcast(
      files.map { file in
        shares.take(Double((try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 1))
      }, from: 0)
    let own = try zip(files, owners).map { try $1 == rank ? FileDigest.hexadecimal(of: $0) : "" }
    var result: [URL: String] = [:]
    for (index, file) in files.enumerated() {
      result[file] = String(decoding: try broadcast(Array(own[index].utf8), from: owners[index]), as: UTF8.self)
    }
    return result
  }
}
