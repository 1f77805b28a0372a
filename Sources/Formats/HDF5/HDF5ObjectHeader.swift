/// The messages of one object header, found in the raw bytes without the library. Every read is bounded.
///
/// HDF5 File Format Specification, version 3.0, section IV.A: header versions 1 and 2, and their continuation blocks. Offsets and
/// lengths take 8 bytes, as in every file that h5py writes.
struct HDF5ObjectHeader {
  struct Message {
    let type: Int
    let body: Range<Int>
    /// The body is only where the message lies.
    let isElsewhere: Bool
  }

  /// The message types that are looked into.
  enum MessageType {
    static let dataSpace = 1
    static let linkInfo = 2
    static let dataType = 3
    static let oldFillValue = 4
    static let fillValue = 5
    static let link = 6
    static let externalFiles = 7
    static let dataLayout = 8
    static let groupInfo = 10
    static let filterPipeline = 11
    static let attribute = 12
    static let continuation = 16
    static let symbolTable = 17
    static let nodeSizes = 19
    static let attributeInfo = 21
    static let referenceCount = 22
    static let cacheImage = 24
  }

  private(set) var messages: [Message] = []

  /// Nil when the header is damaged.
  /// - Parameters:
  ///   - bytes: the file from its superblock on.
  ///   - address: of the header.
  init?(in bytes: HDF5RawBytes, at address: Int) {
    guard let first = bytes.number(at: address, 1) else { return nil }
    var blocks: [Range<Int>] = []
    var prefixLength = 8
    if first == 1 {
      guard let size = bytes.number(at: address + 8, 4), let block = bytes.range(at: address + 16, size) else { return nil }
      blocks.append(block)
    } else {
      guard bytes.has("OHDR", at: address), bytes.number(at: address + 4, 1) == 2, let flags = bytes.number(at: address + 5, 1)
      else { return nil }
      // Optional fields: four times, two thresholds; then the size of the first block in 1, 2, 4 or 8 bytes.
      let sizeAt = address + 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
      let sizeLength = 1 << (flags & 3)
      guard let size = bytes.number(at: sizeAt, sizeLength), let block = bytes.range(at: sizeAt + sizeLength, size) else { return nil }
      blocks.append(block)
      prefixLength = flags & 4 != 0 ? 6 : 4
    }
    let isFirstVersion = first == 1
    var total = 0
    while let block = blocks.popLast() {
      // Blocks that share bytes could continue each other for ever.
      total += block.count
      guard total <= bytes.count else { return nil }
      var position = block.lowerBound
      while block.upperBound - position >= prefixLength {
        guard let type = bytes.number(at: position, isFirstVersion ? 2 : 1),
          let length = bytes.number(at: position + (isFirstVersion ? 2 : 1), 2),
          length <= block.upperBound - position - prefixLength
        else { return nil }
        let body = position + prefixLength..<position + prefixLength + length
        let flags = bytes.number(at: position + (isFirstVersion ? 4 : 3), 1) ?? 0
        if type == MessageType.continuation {
          guard length >= 16, let next = bytes.number(at: body.lowerBound, 8), let size = bytes.number(at: body.lowerBound + 8, 8),
            let block = bytes.range(at: next, size)
          else { return nil }
          guard !isFirstVersion else {
            blocks.append(block)
            position = body.upperBound
            continue
          }
          // Version 2: a signature before the messages, a checksum behind them.
          guard bytes.has("OCHK", at: next), size >= 8 else { return nil }
          blocks.append(block.lowerBound + 4..<block.upperBound - 4)
        } else {
          messages.append(Message(type: type, body: body, isElsewhere: flags & 2 != 0))
        }
        position = body.upperBound
      }
    }
  }
}

/// Bytes of a file, read without trust.
struct HDF5RawBytes {
  private let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var count: Int { bytes.count }

  /// A little-endian number of 1 to 8 bytes; nil beyond the end, or when it does not fit.
  func number(at position: Int, _ length: Int) -> Int? {
    guard let range = range(at: position, length), length <= 8 else { return nil }
    return Int(exactly: range.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[$1]) })
  }

  /// The positions of `length` bytes; nil when they do not lie inside.
  func range(at position: Int, _ length: Int) -> Range<Int>? {
    guard position >= 0, length >= 0, position <= bytes.count, length <= bytes.count - position else { return nil }
    return position..<position + length
  }

  func has(_ signature: String, at position: Int) -> Bool {
    guard let range = range(at: position, signature.utf8.count) else { return false }
    return bytes[range].elementsEqual(signature.utf8)
  }
}
