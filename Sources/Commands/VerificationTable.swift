import DeepSeekOptimize

/// What `verify` prints.
struct VerificationTable {
  let verification: OutputVerification

  init(_ verification: OutputVerification) { self.verification = verification }

  /// The files, those last that are not what they should be; then the model, and the digest that stands for all of it.
  /// - Parameter width: of the terminal; nil for a file.
  func text(width: Int?, style: TextStyle) -> String {
    var table = TextTable([.left, .right, .left, .left, .left])
    table.header(["state", "bytes", "SHA-256", "file", ""])
    let files = verification.files
    for file in files.filter({ $0.state == .intact }) + files.filter({ $0.state != .intact }) {
      table.row([
        .init(file.state.rawValue, file.state == .intact ? .good : .bad), .init(file.bytes.map { NumberText.grouped($0) } ?? ""),
        .init(file.sha256.map { "\($0.prefix(16))…" } ?? "", .faint), .init(file.name), .init(file.note),
      ])
    }
    var lines = table.lines(width: width ?? table.naturalWidth, style: style)
    lines.append("")
    lines.append("model        \(verification.modelProblem?.printable ?? "opens")")
    lines.append("report.json  \(verification.reportDigest)")
    lines += verification.caveats.map { "note         \($0)" }
    return lines.joined(separator: "\n")
  }
}
