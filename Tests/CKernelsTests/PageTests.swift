import CKernels
import Foundation
import Testing

/// Memory of its own pages: what is kept, for whom, and what goes back to the system. Nothing else in this process maps any.
@Suite struct PageTests {
  private struct Region {
    let pages: UnsafeMutableRawPointer
    let size: Int64
    let isZeroed: Bool

    init?(megabytes: Int) {
      var (size, zeroed) = (Int64(0), Int32(-1))
      guard let pages = dso_map_pages(Int64(megabytes) << 20, &size, &zeroed) else { return nil }
      (self.pages, self.size, isZeroed) = (pages, size, zeroed != 0)
    }

    func give() { dso_unmap_pages(pages, size) }

    /// Whether a piece of it is no longer mapped. Others may take some of the place meanwhile, not all of it.
    var isGone: Bool { msync(pages, Int(size), MS_ASYNC) != 0 && errno == ENOMEM }
  }

  @Test func regionsAreKeptForWhoeverTheyFit() throws {
    dso_give_back_memory()
    let first = try #require(Region(megabytes: 49))
    #expect(first.isZeroed && first.size == 50 << 20, "whole large pages")
    #expect(UInt(bitPattern: first.pages) % (2 << 20) == 0)
    let bytes = UnsafeRawBufferPointer(start: first.pages, count: Int(first.size))
    #expect(stride(from: 0, to: bytes.count, by: 511).allSatisfy { bytes[$0] == 0 })
    memset(first.pages, 0xff, Int(first.size))
    first.give()

    let second = try #require(Region(megabytes: 40))
    #expect(second.pages == first.pages && second.size == first.size, "the one that was kept, with its own size")
    #expect(!second.isZeroed && bytes[0] == 0xff)
    let third = try #require(Region(megabytes: 40))
    #expect(third.isZeroed && third.pages != second.pages, "there was only one")
    second.give()
    third.give()

    let fitting = try #require(Region(megabytes: 38))
    #expect(!fitting.isZeroed && fitting.pages == third.pages, "the smaller of two")
    let small = try #require(Region(megabytes: 24))
    #expect(small.isZeroed, "half of the other would be wasted")
    let larger = try #require(Region(megabytes: 52))
    #expect(larger.isZeroed)
    for region in [fitting, small, larger] { region.give() }
    #expect(larger.isGone && !first.isGone, "beyond 128 MB nothing is kept")

    dso_give_back_memory()
    #expect(first.isGone && fitting.isGone && small.isGone)
    let fresh = try #require(Region(megabytes: 40))
    #expect(
      fresh.isZeroed
        && stride(from: 0, to: Int(fresh.size), by: 511).allSatisfy { fresh.pages.load(fromByteOffset: $0, as: UInt8.self) == 0 })
    fresh.give()
    dso_give_back_memory()
    #expect(fresh.isGone)
  }
}
