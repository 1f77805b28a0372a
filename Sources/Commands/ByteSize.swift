import ArgumentParser
import Foundation

/// A number of bytes as people write it: 8GB, 512MiB, 1500000.
struct ByteSize: WrittenValue {
  static let forms = "8GB, 512MiB or 33554432, from 1MiB on: 8 alone is 8 bytes"

  let bytes: Int

  init?(argument: String) {
    let units: [(String, Double)] = [
      ("KIB", 1024), ("MIB", 1_048_576), ("GIB", 1_073_741_824), ("TIB", 1_099_511_627_776), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9),
      ("TB", 1e12), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("B", 1),
    ]
    let text = argument.uppercased().replacingOccurrences(of: " ", with: "")
    let unit = units.first { text.hasSuffix($0.0) }
    guard let value = Double(unit.map { String(text.dropLast($0.0.count)) } ?? text), value.isFinite, value > 0 else { return nil }
    let bytes = value * (unit?.1 ?? 1)
    guard bytes >= 1_048_576, bytes < 1e18 else { return nil }
    self.bytes = Int(bytes)
  }
}
