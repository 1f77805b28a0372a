/// `NFC`, `NFD`, `NFKC`, `NFKD` (Unicode Standard Annex 15) in the Unicode version of the library.
struct UnicodeNormalizer: Normalizer {
  enum Form: Sendable { case composed, decomposed }

  private let form: Form
  private let isCompatible: Bool

  init(_ form: Form, compatible: Bool) {
    self.form = form
    isCompatible = compatible
  }

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    guard let first = text.bytes.firstIndex(where: { $0 >= 0x80 }) else { return }
    let tables = NormalizationTables.shared
    var output: [UInt8] = []
    output.reserveCapacity(text.bytes.count + text.bytes.count / 8)
    // A mark may join the last ASCII letter: keep that letter with what follows.
    let untouched = max(0, first - 1)
    output += text.bytes[..<untouched]
    var segment: [UInt32] = []
    text.bytes.withUnsafeBufferPointer { bytes in
      var position = untouched
      while position < bytes.count {
        let scalar = bytes.scalar(at: position)
        if scalar.value < 0x80 {
          flush(&segment, tables, &output)
          segment.append(scalar.value)
        } else {
          tables.decompose(scalar.value, compatible: isCompatible) { part in
            if tables.combiningClass(of: part) == 0, form == .decomposed || !tables.mayCompose(part) {
              flush(&segment, tables, &output)
            }
            segment.append(part)
          }
        }
        position += scalar.length
      }
    }
    flush(&segment, tables, &output)
    if text.startLength > 0 {
      // Nothing splits inside the first scalar, so its new length is as good as the exact alignment.
      text.startLength = output.first.map { $0 < 0x80 ? 1 : $0 < 0xE0 ? 2 : $0 < 0xF0 ? 3 : 4 } ?? 0
    }
    text.bytes = output
  }

  /// Sorts the marks of a segment, composes it and writes it out.
  private func flush(_ segment: inout [UInt32], _ tables: NormalizationTables, _ output: inout [UInt8]) {
    if segment.count > 1 {
      sortMarks(of: &segment, tables)
      if form == .composed { compose(&segment, tables) }
    }
    for value in segment {
      guard let scalar = Unicode.Scalar(value) else { continue }
      output += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }
    segment.removeAll(keepingCapacity: true)
  }

  /// Puts each run of marks in the order of their classes, keeping the order within a class.
  private func sortMarks(of segment: inout [UInt32], _ tables: NormalizationTables) {
    var start = 0
    while start < segment.count {
      guard tables.combiningClass(of: segment[start]) != 0 else {
        start += 1
        continue
      }
      var end = start
      while end < segment.count, tables.combiningClass(of: segment[end]) != 0 { end += 1 }
      if end - start > 1 {
        // Array.sort is stable, but does not promise it: the position decides between equals.
        let run = segment[start..<end].enumerated().map { (tables.combiningClass(of: $1), $0, $1) }
        segment.replaceSubrange(start..<end, with: run.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2))
      }
      start = end
    }
  }

  private func compose(_ segment: inout [UInt32], _ tables: NormalizationTables) {
    var starter: Int?
    var lastClass: UInt8 = 0
    var kept = 0
    for index in segment.indices {
      let scalar = segment[index]
      let scalarClass = tables.combiningClass(of: scalar)
      // A scalar reaches its starter when nothing of its class or a higher one stands between.
      if let starter, kept == starter + 1 || lastClass < scalarClass, let joined = tables.composition(segment[starter], scalar) {
        segment[starter] = joined
        continue
      }
      if scalarClass == 0 { starter = kept }
      lastClass = scalarClass
      segment[kept] = scalar
      kept += 1
    }
    segment.removeSubrange(kept...)
  }
}
