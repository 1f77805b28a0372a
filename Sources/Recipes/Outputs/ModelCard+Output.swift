import Formats
import Foundation
import ModelGraph
import Reporting

extension ModelCard.Output {
  /// What the card of a checkpoint says beyond its report.
  /// - Parameters:
  ///   - written: the checkpoint as it was read again.
  ///   - source: what it was made from.
  ///   - relation: what it is to that.
  ///   - command: the line that makes it again; nil when there is none.
  init(of written: ModelBundle, as format: OutputFormat, from source: ModelBundle, _ relation: Relation?, command: String?) {
    let model = Loadability(written)
    var card = format.card
    if card.isPlainWithoutCodes, model.bits.isEmpty {
      // What has no codes is safetensors to all that reads it.
      card = .dense
      card.runtimes = OutputFormat.compressedTensors.card.runtimes
    }
    var tags = card.tags
    if model.bits.count == 1, let bits = model.bits.first { tags.append("\(bits)-bit") }
    if model.bits.count > 1 { tags.append("mixed-precision") }
    self.init(
      task: model.isEncoder ? .embedding : .generation, form: card.form, baseModel: source.hubName, relation: relation,
      library: card.library, tags: tags, usages: (card.runtimes + [.own]).compactMap { $0.usage(model) }, command: command)
  }
}

extension ModelBundle {
  /// What the model may be called on a hub: from the place in a hub's cache, or by its directory; nil when that cannot be such a name.
  var hubName: String? {
    guard name != DemoModel.name else { return nil }
    let parts = directory.standardizedFileURL.pathComponents
    if parts.count > 2, parts[parts.count - 2] == "snapshots", parts[parts.count - 3].hasPrefix(Self.cachePrefix) {
      let names = parts[parts.count - 3].dropFirst(Self.cachePrefix.count).components(separatedBy: "--")
      return (1...2).contains(names.count) && names.allSatisfy(Self.isHubName) ? names.joined(separator: "/") : nil
    }
    return Self.isHubName(name) ? name : nil
  }

  private static let cachePrefix = "models--"

  private static func isHubName(_ name: String) -> Bool {
    let scalars = Array(name.unicodeScalars)
    func isLetterOrDigit(_ scalar: Unicode.Scalar) -> Bool {
      scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
    }
    guard (1...96).contains(scalars.count), isLetterOrDigit(scalars[0]), isLetterOrDigit(scalars[scalars.count - 1]) else { return false }
    return scalars.allSatisfy { isLetterOrDigit($0) || "-_.".unicodeScalars.contains($0) } && !name.contains("--") && !name.contains("..")
      && !name.hasSuffix(".git")
  }
}
