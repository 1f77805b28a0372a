import Tensors

/// A tensor as a GGUF file lists it.
public struct GGUFTensor: Sendable, Hashable {
  public let name: String
  public let type: GGUFType
  /// Outermost first, as in every `Shape`; the file lists them the other way round.
  public let dimensions: [Int]
  /// Where its bytes lie in the file.
  public let range: Range<Int>

  /// Bytes of one row along the innermost axis.
  public var rowByteCount: Int { type.byteCount(ofRow: dimensions.last ?? 1) ?? 0 }

  /// The tensor as a checkpoint describes it: plain elements by their type, blocks as rows of bytes.
  public var descriptor: TensorDescriptor {
    if let dataType = type.dataType { return TensorDescriptor(name: name, dataType: dataType, shape: Shape(dimensions)) }
    return TensorDescriptor(name: name, dataType: .uint8, shape: Shape(dimensions.dropLast() + [rowByteCount]))
  }

  /// Readers refuse names of as many bytes.
  static let nameLimit = 64
  /// More dimensions no reader takes.
  static let rankLimit = 4

  /// Why no tensor can have this type and these dimensions; its bytes otherwise.
  static func byteCount(_ type: GGUFType, _ dimensions: [Int]) -> (bytes: Int?, problem: String) {
    guard dimensions.count <= rankLimit else {
      return (nil, "it has \(dimensions.count) dimensions, more than \(rankLimit)")
    }
    guard dimensions.allSatisfy({ $0 > 0 }) else { return (nil, "its dimensions \(Shape(dimensions)) are not all positive") }
    let row = dimensions.last ?? 1
    guard row % type.block.elements == 0 else {
      return (nil, "its rows of \(row) elements are no whole number of \(type.name)'s blocks of \(type.block.elements)")
    }
    let rows = Shape(Array(dimensions.dropLast())).checkedElementCount
    guard Shape(dimensions).checkedElementCount != nil, let rows, let bytes = type.byteCount(ofRow: row) else {
      return (nil, "its dimensions \(Shape(dimensions)) have no representable size")
    }
    let (total, overflow) = rows.multipliedReportingOverflow(by: bytes)
    return overflow ? (nil, "its dimensions \(Shape(dimensions)) have no representable size") : (total, "")
  }
}

extension GGUFType {
  /// Types of ggml's that are not read, for errors to name.
  private static let others: [UInt32: String] = [
    4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
  ]

  /// What is said of a number that stands for none of the cases.
  static func unknown(_ number: UInt32) -> (problem: String, remedy: String) {
    let name = others[number].map { " (\($0))" } ?? ""
    let known = allCases.map(\.name).joined(separator: ", ")
    return ("its type is ggml's number \(number)\(name), which is not read", "take a file with other types: \(known)")
  }
}

/// The start of a file and of each tensor in it: multiples of this.
enum GGUFAlignment {
  static let key = "general.alignment"
  static let standard = 32
  /// Larger ones have no use; a file is mostly padding then.
  static let limit = 1 << 20

  /// The alignment that metadata ask for; nil when it is none.
  static func value(_ metadata: GGUFMetadata) -> Int? {
    guard let value = metadata[key] else { return standard }
    guard case .uint32(let number) = value, number.nonzeroBitCount == 1, number <= limit else { return nil }
    return Int(number)
  }

  /// `position` rounded up; nil when that overflows.
  static func round(_ position: Int, to alignment: Int) -> Int? {
    let (sum, overflow) = position.addingReportingOverflow(alignment - 1)
    return overflow ? nil : sum & ~(alignment - 1)
  }
}
