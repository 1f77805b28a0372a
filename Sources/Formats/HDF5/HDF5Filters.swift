import CHDF5

/// The filters a chunk may have gone through: only what the library carries itself and what cannot lose a value.
enum HDF5Filters {
  static let deflate: H5Z_filter_t = 1
  static let shuffle: H5Z_filter_t = 2
  static let fletcher32: H5Z_filter_t = 3
  static let szip: H5Z_filter_t = 4

  /// Registered numbers of filters that are refused, so that the message can name them.
  private static let names: [H5Z_filter_t: String] = [
    deflate: "gzip", shuffle: "shuffle", fletcher32: "fletcher32", szip: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf",
    32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2",
  ]

  /// - Returns: the filters, in the order in which a chunk went through them when it was written.
  @discardableResult
  static func check(
    _ creation: borrowing HDF5Identifier, elementSize: Int, place: HDF5Place
  ) throws(CheckpointError) -> [H5Z_filter_t] {
    let count = H5Pget_nfilters(creation.raw)
    guard count >= 0 else { throw place.libraryFailure("reading its filters") }
    var seen: [H5Z_filter_t] = []
    for index in 0..<UInt32(count) {
      var flags: UInt32 = 0
      var configuration: UInt32 = 0
      var parameters = [UInt32](repeating: 0, count: 32)
      var parameterCount = parameters.count
      let filter = H5Pget_filter2(creation.raw, index, &flags, &parameterCount, &parameters, 0, nil, &configuration)
      guard filter >= 0 else { throw place.libraryFailure("reading its filters") }
      let name = names[filter].map { "\"\($0)\"" } ?? "number \(filter)"
      guard isReadable(filter) else {
        throw place.malformed(
          "it is compressed with the filter \(name), which is not read",
          remedy: "store it uncompressed or with gzip (h5repack -f GZIP=4)")
      }
      // Twice the same filter would multiply how far a chunk can unfold.
      guard !seen.contains(filter) else { throw place.malformed("it names the filter \(name) twice") }
      // What a chunk unfolds to is found out before the library sees it: its checksum is all that may lie around what was compressed.
      guard filter == fletcher32 || !seen.contains(where: { $0 == deflate || $0 == szip }) else {
        throw place.malformed("the filter \(name) stands behind the one that compresses, which is not read", remedy: "write it with h5py")
      }
      seen.append(filter)
      guard filter != shuffle || (parameterCount == 1 && parameters[0] == UInt32(clamping: elementSize)) else {
        throw place.malformed("its shuffle filter is not for elements of \(elementSize) bytes")
      }
    }
    return seen
  }

  private static func isReadable(_ filter: H5Z_filter_t) -> Bool {
    switch filter {
    case deflate, shuffle, fletcher32: return H5Zfilter_avail(filter) > 0
    case szip:
      var abilities: UInt32 = 0
      // The second bit says that this build can decode.
      return H5Zfilter_avail(filter) > 0 && H5Zget_filter_info(filter, &abilities) >= 0 && abilities & 2 != 0
    default: return false
    }
  }
}
