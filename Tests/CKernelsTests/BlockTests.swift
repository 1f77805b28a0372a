import CKernels
import Foundation
import Testing

extension KernelTests {
  @Suite struct Blocks {
    static let kernels = ["dso_encode_blocks", "dso_decode_blocks", "dso_quantize_blocks"]

    /// What gguf-py finds in blocks of every type.
    private struct Golden {
      var name: String
      var type: dso_block_type
      var blocks: [UInt8]
      var weights: [Float]

      static func all() throws -> [Golden] {
        let file = try #require(Bundle.module.url(forResource: "blocks", withExtension: "txt", subdirectory: "BlockFixtures"))
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
          let fields = line.split(separator: " ")
          let values = bytes(of: fields[3])
          let floats = stride(from: 0, to: values.count, by: 4).map { index in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(values[index + $1]) << (8 * UInt32($1)) })
          }
          return Golden(
            name: String(fields[0]), type: dso_block_type(try #require(UInt32(fields[1]))), blocks: bytes(of: fields[2]), weights: floats)
        }
      }

      private static func bytes(of hexadecimal: Substring) -> [UInt8] {
        let digits = hexadecimal.utf8.map { $0 < 58 ? $0 - 48 : $0 - 87 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
      }
    }

    @Test func weightsAreThoseOfGGUF() throws {
      let goldens = try Golden.all()
      #expect(goldens.map(\.type.rawValue).sorted() == BlockRows.types.map(\.rawValue).sorted())
      for golden in goldens {
        for set in allSets {
          with(set) {
            let row = BlockRows(type: golden.type, k: golden.weights.count, rows: 1)
            row.decode(golden.blocks)
            // E2M1 has a negative zero, which is none in gguf-py's table of integers: added to zero it becomes a positive one.
            let weights = golden.type == DSO_BLOCKS_MXFP4 ? row.weights().map { $0 + 0 } : row.weights()
            #expect(firstDifferentBits(weights, golden.weights) == nil, "\(golden.name), \(name(set))")
            #expect(row.encoded() == golden.blocks, "\(golden.name), \(name(set))")
            row.expectIntact("\(golden.name), \(name(set))")
          }
        }
      }
    }

    /// Every byte is a code or a part, whatever it is: nothing is lost, also of numbers that are none.
    @Test func blocksComeBackAsTheyWere() {
      var numbers = TestNumbers(seed: 191)
      for type in BlockRows.types {
        for count in [0, 1, 2, 15, 16, 17, 40] {
          let row = BlockRows(type: type, k: count * BlockRows.block(of: type), rows: 1)
          let blocks = (0..<row.blockBytes).map { _ in UInt8.random(in: .min ... .max, using: &numbers) }
          for set in allSets {
            with(set) {
              row.decode(blocks)
              #expect(row.encoded() == blocks, "type \(type.rawValue), \(count) blocks, \(name(set))")
              row.expectIntact("type \(type.rawValue), \(count) blocks, \(name(set))")
            }
          }
        }
      }
    }

    @Test func otherTypesAreNone() {
      #expect(dso_block_format_of(dso_block_type(15)) == nil)
      #expect(dso_block_format_of(dso_block_type(41)) == nil)
    }

    /// By hand: d = 2^-10 and dmin = 2^-9, group 0 with scale code 3 and minimum code 5, group 7 with 63 and 33.
    @Test func sixBitCodesAreWhereTheyBelong() {
      let row = BlockRows(type: DSO_BLOCKS_Q4_K, k: 256, rows: 1)
      var block = [UInt8](repeating: 0, count: 144)
      (block[1], block[3]) = (0x14, 0x18)
      // Scale code 7 is 0b11_1111: its upper bits at the top of byte 3; minimum code 7 is 0b10_0001: at the top of byte 7.
      (block[4], block[8]) = (3, 5)
      (block[4 + 3], block[4 + 7], block[4 + 11]) = (0b1100_0000, 0b1000_0000, 0b0001_1111)
      (block[16], block[16 + 96]) = (0x0f, 0x20)
      row.decode(block)
      let found = row.weights().map { $0 * 1024 }
      // 3 * 15 - 2 * 5, then without the code; 63 * 2 - 2 * 33.
      #expect([found[0], found[1], found[7 * 32]] == [35, -10, 60])
    }
  }
}
