/// A report as aligned text for the terminal: at most 100 columns, sections for what was measured and nothing else.
public struct ReportTable: Sendable {
  public let report: CompressionReport
  /// The widest line in columns, and what it is where the output is not a terminal.
  public static let width = 100

  /// A terminal's columns, within what the tables can use.
  static func clamped(_ width: Int) -> Int { min(Self.width, max(40, width)) }

  public init(_ report: CompressionReport) { self.report = report }

  /// The table; ends in a line break.
  ///
  /// - Parameter width: columns of the terminal; no line is wider, and names give way before figures.
  public func text(style: TextStyle = .plain, width: Int = ReportTable.width) -> String {
    let width = Self.clamped(width)
    var lines = heading(style, width)
    for section in [
      passes, training, pruning, replacement, distillation, size, accuracy, embeddings, activations, keyValueCache, calibration, experts,
      allocation,
      speed, layers,
      gates,
      resources,
    ] {
      guard let section, !section.lines.isEmpty else { continue }
      let title = TerminalText.elided(TerminalText.sanitized(section.title), to: width)
      lines += ["", style.paint(title, .heading)] + section.lines.map { $0(style, width) }.joined()
    }
    lines += warnings(style, width)
    return lines.joined(separator: "\n") + "\n"
  }

  /// A titled part: its tables and paragraphs, each rendered once the style is known.
  struct Section {
    var title: String
    var lines: [(TextStyle, Int) -> [String]] = []

    /// - Parameters:
    ///   - spare: columns that may be left out where the terminal is narrow, in the order that they go.
    ///   - least: what names are worth keeping before any goes.
    mutating func add(_ table: TextTable, spare: [Int] = [], least: Int = 24) {
      lines.append { style, width in
        table.lines(
          width: width, style: style, least: least, spare: spare, elsewhere: "a wider terminal and the report's page have them")
      }
    }

    mutating func add(paragraph: String) {
      let text = TerminalText.sanitized(paragraph)
      lines.append { style, width in TerminalText.wrapped(text, to: width - 2).map { "  " + style.paint($0, .faint) } }
    }
  }

  private func heading(_ style: TextStyle, _ width: Int) -> [String] {
    let summary = ReportSummary(report: report)
    let name = TerminalText.elided(TerminalText.sanitized(report.model.name), to: min(60, width))
    var lines = [style.paint(name, .heading)]
    let details = [summary.model, summary.recipe].filter { !$0.isEmpty }.joined(separator: "; ")
    if !details.isEmpty {
      lines += TerminalText.wrapped(TerminalText.sanitized(details), to: width, lines: 3)
    }
    return lines
  }

  private var size: Section? {
    guard let size = report.size else { return nil }
    var section = Section(title: "Size")
    var table = TextTable([.left, .right, .right, .right])
    if size.sourceBytes != nil || size.outputBytes != nil {
      table.header("", "source", "output", "ratio")
      table.row(
        "checkpoint", .init(bytes(size.sourceBytes)), .init(bytes(size.outputBytes)),
        .init(ratio(ReportSummary(report: report).sizeRatio)))
    }
    for kind in size.byKind.prefix(20) {
      table.row(
        .init("  " + kind.kind), .init(bytes(kind.sourceBytes)), .init(bytes(kind.outputBytes)),
        .init(ratio(kind.sourceBytes, kind.outputBytes)))
    }
    if let bits = size.bitsPerWeight { table.row("bits per weight", "", .init(NumberText.fixed(bits, 2))) }
    if let sparsity = size.sparsity { table.row("zero weights", "", .init(NumberText.percent(sparsity, 1))) }
    section.add(table)
    return section
  }

  private var accuracy: Section? {
    guard let accuracy = report.accuracy else { return nil }
    let summary = ReportSummary(report: report)
    var section = Section(title: "Accuracy")
    if accuracy.reference == nil, let alone = accuracy.compressed {
      // A model measured by itself is not "compressed" from anything that is known here.
      var table = TextTable([.left, .right])
      table.row("perplexity", .init(NumberText.perplexity(alone)))
      section.add(table)
    } else if accuracy.reference != nil {
      var table = TextTable([.left, .right, .right, .right, .left])
      table.header("", "reference", "compressed", "change", "95 % interval")
      table.row(
        "perplexity", .init(NumberText.perplexity(accuracy.reference)), .init(NumberText.perplexity(accuracy.compressed)),
        .init(summary.perplexityChange.map(NumberText.percentChange) ?? ""), .init(summary.perplexityInterval ?? ""))
      section.add(table)
    }
    if let kl = accuracy.klDivergence {
      var table = TextTable([.left] + Array(repeating: .right, count: 6))
      table.header("", "mean", "median", "95 %", "99 %", "99.9 %", "max")
      let figures = [kl.mean, kl.median, kl.p95, kl.p99, kl.p999, kl.max]
      table.row([.init("KL, nats/token")] + figures.map { .init($0.map(NumberText.nats) ?? NumberText.absent) })
      section.add(table)
    }
    var table = TextTable([.left, .right, .left])
    if let agreement = accuracy.topTokenAgreement { table.row("same top token", .init(NumberText.percent(agreement))) }
    if let flips = accuracy.flips {
      let gained = flips.gained.map { NumberText.grouped($0) } ?? NumberText.absent
      let lost = flips.lost.map { NumberText.grouped($0) } ?? NumberText.absent
      table.row("flips", .init("\(gained) / \(lost)"), "became right / became wrong")
    }
    section.add(table)
    if let compute = report.accuracy?.compute { section.add(paragraph: "Products were computed in \(compute).") }
    if let measurement = summary.measurement { section.add(paragraph: measurement) }
    return section
  }

  private var speed: Section? {
    guard let speed = report.speed else { return nil }
    var table = TextTable([.left, .right, .right, .right])
    table.header("tokens per second", "reference", "compressed", "speed-up")
    for (name, pair) in [("prefill", speed.prefillTokensPerSecond), ("decode", speed.decodeTokensPerSecond)] {
      guard let pair else { continue }
      table.row(
        .init(name), .init(rate(pair.reference)), .init(rate(pair.compressed)),
        .init(pair.speedUp.map { NumberText.fixed($0, 2) + "×" } ?? ""))
    }
    var section = Section(title: speed.compute.map { "Speed, computed in \($0)" } ?? "Speed")
    section.add(table)
    return section
  }

  private var layers: Section? {
    let summary = ReportSummary(report: report)
    let worst = summary.worstLayers(5)
    guard !worst.isEmpty else { return nil }
    let hasFallback = worst.contains { $0.fallback != nil }
    var table = TextTable([.left, .right, .right, .left, .right, .right, .right, .left])
    table.header("SQNR in dB", "bits", "group", "format", "weights", "output", "clipped", hasFallback ? "fallback" : "")
    for layer in worst {
      table.row(
        .init(layer.name), .init(layer.bits.map(NumberText.bits) ?? ""), .init(layer.groupText), .init(layer.format ?? ""),
        .init(decibels(layer.weightSQNRdB)), .init(decibels(layer.outputSQNRdB)),
        .init(layer.clippedFraction.map { NumberText.percent($0) } ?? ""), .init(layer.fallback ?? "", .caution))
    }
    var section = Section(title: "Layers, \(summary.selection(worst.count))")
    // The number of the block is in the middle of the name, which is what an elided one lacks.
    section.add(table, spare: [2, 6], least: 34)
    return section
  }

  private var gates: Section? {
    guard !report.gates.isEmpty else { return nil }
    var table = TextTable([.left, .right, .right, .left])
    table.header("", "limit", "measured", "")
    for gate in report.gates.prefix(20) {
      let figures = gate.figures
      table.row(
        .init(gate.name), .init(figures.limit ?? NumberText.absent), .init(figures.value ?? "not measured"),
        gate.passed ? .init("passed", .good) : .init("MISSED", .bad))
    }
    var section = Section(title: "Gates")
    section.add(table)
    return section
  }

  private var resources: Section? {
    guard let resources = report.resources else { return nil }
    var parts: [String] = []
    if let seconds = resources.wallSeconds { parts.append(NumberText.duration(seconds)) }
    if let threads = resources.threads { parts.append("\(threads) thread\(threads == 1 ? "" : "s")") }
    if let memory = resources.peakMemoryBytes { parts.append("\(NumberText.memory(memory)) peak memory") }
    if let read = resources.bytesRead { parts.append("\(NumberText.bytes(read)) read") }
    if let written = resources.bytesWritten { parts.append("\(NumberText.bytes(written)) written") }
    guard !parts.isEmpty else { return nil }
    var section = Section(title: "Run")
    section.add(paragraph: parts.joined(separator: ", "))
    return section
  }

  private func warnings(_ style: TextStyle, _ width: Int) -> [String] {
    guard !report.warnings.isEmpty else { return [] }
    var lines = ["", style.paint("Warnings", .heading)]
    for warning in report.warnings.prefix(20) {
      let wrapped = TerminalText.wrapped(TerminalText.sanitized(warning), to: width - 4, lines: 6)
      for (index, line) in wrapped.enumerated() { lines.append((index == 0 ? "  ! " : "    ") + style.paint(line, .caution)) }
    }
    if report.warnings.count > 20 { lines.append("  … and \(report.warnings.count - 20) more") }
    return lines
  }
}

extension ReportTable {
  private func bytes(_ count: Int?) -> String { count.map(NumberText.bytes) ?? NumberText.absent }
  private func ratio(_ value: Double?) -> String { value.map { NumberText.fixed($0, 2) + "×" } ?? "" }

  private func ratio(_ source: Int?, _ output: Int?) -> String {
    guard let source, let output, source > 0 else { return "" }
    return ratio(Double(output) / Double(source))
  }

  private func rate(_ value: Double?) -> String { value.map { NumberText.significant($0, 4) } ?? NumberText.absent }
  private func decibels(_ value: Double?) -> String { value.map { NumberText.fixed($0, 1) } ?? NumberText.absent }
}

extension CompressionReport.Speed.Pair {
  var speedUp: Double? {
    guard let reference, let compressed, reference > 0 else { return nil }
    return compressed / reference
  }
}

extension CompressionReport.Layer {
  /// How many weights share a scale: a number, `channel`, or nothing when unknown.
  var groupText: String { groupSize.map { $0 == 0 ? "channel" : NumberText.grouped($0) } ?? "" }
}
