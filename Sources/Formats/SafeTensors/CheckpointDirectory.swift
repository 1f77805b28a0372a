import Diagnostics
import Foundation

/// The directory of a checkpoint. Files in it may be symbolic links, but not to a place outside: a directory that was unpacked or
/// downloaded must not be able to make the reader open other files of the machine.
package struct CheckpointDirectory {
  let location: URL
  /// Real paths below which files may lie, each ending in a slash.
  private let roots: [String]

  package init(_ location: URL) throws(CheckpointError) {
    self.location = location
    guard let real = Self.realPath(location.path) else { throw CheckpointError.missingFile(location) }
    var roots = [Self.folder(real)]
    // The Hugging Face cache keeps <repository>/snapshots/<revision>/<name> as links to <repository>/blobs/<digest>.
    let parts = real.split(separator: "/")
    if parts.count > 2, parts[parts.count - 2] == "snapshots" {
      roots.append("/" + parts.dropLast(2).joined(separator: "/") + "/blobs/")
    }
    self.roots = roots
  }

  package func contains(_ name: String) -> Bool {
    var status = stat()
    return stat(location.appendingPathComponent(name).path, &status) == 0
  }

  /// The file of that name, refused when it is a link that leaves the directory.
  package func file(_ name: String) throws(CheckpointError) -> URL {
    let file = location.appendingPathComponent(name)
    guard let real = Self.realPath(file.path) else {
      let code = errno
      throw code == ENOENT || code == ENOTDIR
        ? CheckpointError.missingFile(file) : CheckpointError.inputOutput(file: file, "opening", errno: code)
    }
    guard roots.contains(where: { real.utf8.starts(with: $0.utf8) }) else {
      throw CheckpointError.malformed(
        file: file, "it is a symbolic link to a file outside its directory", remedy: "copy the file into the directory")
    }
    return file
  }

  /// `model.safetensors`, or else the only `.safetensors` file there is.
  func onlyFile() throws(CheckpointError) -> URL {
    if contains("model.safetensors") { return try file("model.safetensors") }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: location.path).sorted() else {
      throw CheckpointError.inputOutput(file: location, "its entries cannot be listed")
    }
    let candidates = names.filter { $0.hasSuffix(".safetensors") && !$0.hasPrefix(".") }
    if candidates.count == 1 { return try file(candidates[0]) }
    let listed = candidates.isEmpty ? names : candidates
    let list = listed.prefix(6).map(CheckpointError.shortened).joined(separator: ", ") + (listed.count > 6 ? " …" : "")
    if candidates.isEmpty {
      throw CheckpointError(
        kind: .missingInput, subject: location.relativePath,
        problem: "no safetensors file in it, it holds \(list.isEmpty ? "nothing" : list)",
        remedy: "name a directory with model.safetensors, or a .safetensors file")
    }
    throw CheckpointError(
      kind: .missingInput, subject: location.relativePath,
      problem: "\(candidates.count) safetensors files (\(list)) and no \(SafeTensorsIndex.fileName)",
      remedy: "name one of the files, or fetch the index")
  }

  private static func folder(_ path: String) -> String { path.hasSuffix("/") ? path : path + "/" }

  private static func realPath(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
