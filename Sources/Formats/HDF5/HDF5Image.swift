import CHDF5
import Tensors

/// The structure of a file to be written: superblock, groups, object headers and attributes, made by the library in memory.
///
/// The library never touches the disk (when a flush fails, its 1.10 leaves a file that it crashes on later). It leaves the datasets without
/// storage; `place(_:at:byteCount:)` then enters where their elements start, behind everything that the library made. Fields are named
/// after the HDF5 File Format Specification, version 3.0.
struct HDF5Image {
  private(set) var bytes: [UInt8] = []
  /// Addresses of the datasets' object headers, in the order of the tensors.
  private var headers: [Int] = []
  private let place: HDF5Place

  init(of tensors: [HDF5Layout.Planned], attributes: NameTable<String>, bfloat16: HDF5ElementType.BFloat16, place: HDF5Place)
    throws(CheckpointError)
  {
    self.place = place
    (bytes, headers) = try HDF5Library.locked { () throws(CheckpointError) -> ([UInt8], [Int]) in
      guard let access = HDF5Identifier(H5Pcreate(chdf5_file_access_class())), H5Pset_fapl_core(access.raw, 1 << 20, false) >= 0,
        H5Pset_libver_bounds(access.raw, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) >= 0,
        H5Pset_fclose_degree(access.raw, H5F_CLOSE_STRONG) >= 0,
        let creation = HDF5Identifier(H5Pcreate(chdf5_file_creation_class())), H5Pset_obj_track_times(creation.raw, false) >= 0,
        let file = HDF5Identifier(H5Fcreate("structure", chdf5_truncate(), creation.raw, access.raw))
      else { throw Self.failure("preparing to write", place) }
      let headers = try Self.createDatasets(tensors, bfloat16: bfloat16, in: file, place: place)
      for entry in attributes.entries { try Self.create(attribute: entry.name, entry.value, on: file, place: place) }
      return (try Self.image(of: file, place: place), headers)
    }
  }

  private static func createDatasets(
    _ tensors: [HDF5Layout.Planned], bfloat16: HDF5ElementType.BFloat16, in file: borrowing HDF5Identifier, place: HDF5Place
  ) throws(CheckpointError) -> [Int] {
    guard let creation = HDF5Identifier(H5Pcreate(chdf5_dataset_creation_class())),
      H5Pset_obj_track_times(creation.raw, false) >= 0, H5Pset_layout(creation.raw, H5D_CONTIGUOUS) >= 0,
      H5Pset_alloc_time(creation.raw, H5D_ALLOC_TIME_LATE) >= 0, H5Pset_fill_time(creation.raw, H5D_FILL_TIME_NEVER) >= 0,
      let link = HDF5Identifier(H5Pcreate(chdf5_link_creation_class())), H5Pset_create_intermediate_group(link.raw, 1) >= 0,
      H5Pset_char_encoding(link.raw, H5T_CSET_UTF8) >= 0
    else { throw failure("preparing to write", place) }
    var headers: [Int] = []
    for tensor in tensors {
      let descriptor = tensor.descriptor
      guard let type = HDF5ElementType.stored(descriptor.dataType, bfloat16: bfloat16) else {
        throw .usage(
          file: place.file, tensor: descriptor.name, "an HDF5 file cannot hold elements of type \(descriptor.dataType.rawValue)",
          remedy: "write safetensors instead")
      }
      var address: UInt64 = 0
      guard let space = space(descriptor.shape),
        let dataset = HDF5Identifier(H5Dcreate2(file.raw, tensor.path, type.raw, space.raw, link.raw, creation.raw, 0)),
        chdf5_object_address(dataset.raw, &address) >= 0, let header = Int(exactly: address)
      else { throw failure("creating the dataset \(CheckpointError.shortened(tensor.path))", place) }
      if let tag = HDF5ElementType.tag(of: descriptor.dataType) { try create(attribute: "dtype", tag, on: dataset, place: place) }
      headers.append(header)
    }
    return headers
  }

  private static func space(_ shape: Shape) -> HDF5Identifier? {
    if shape.rank == 0 { return HDF5Identifier(H5Screate(H5S_SCALAR)) }
    let extents = shape.dimensions.map { hsize_t($0) }
    return HDF5Identifier(H5Screate_simple(Int32(extents.count), extents, nil))
  }

  /// A UTF-8 string of variable length: h5py reads it as a `str`, and it may be longer than the 64 KB of a fixed one.
  private static func create(
    attribute name: String, _ text: String, on object: borrowing HDF5Identifier, place: HDF5Place
  ) throws(CheckpointError) {
    guard let type = HDF5Identifier(chdf5_string_type(0, H5T_CSET_UTF8)), let space = HDF5Identifier(H5Screate(H5S_SCALAR)),
      let attribute = HDF5Identifier(H5Acreate2(object.raw, name, type.raw, space.raw, 0, 0)),
      text.withCString({ start in withUnsafePointer(to: start) { H5Awrite(attribute.raw, type.raw, $0) } }) >= 0
    else { throw failure("writing the attribute \(CheckpointError.shortened(name))", place) }
  }

  private static func image(of file: borrowing HDF5Identifier, place: HDF5Place) throws(CheckpointError) -> [UInt8] {
    guard H5Fflush(file.raw, H5F_SCOPE_LOCAL) >= 0 else { throw failure("laying out the file", place) }
    let size = H5Fget_file_image(file.raw, nil, 0)
    guard size > 0 else { throw failure("laying out the file", place) }
    var bytes = [UInt8](repeating: 0, count: size)
    guard H5Fget_file_image(file.raw, &bytes, size) == size else { throw failure("laying out the file", place) }
    return bytes
  }

  /// What the library refuses while writing is not the fault of an input.
  private static func failure(_ action: String, _ place: HDF5Place) -> CheckpointError {
    .inputOutput(file: place.file, "\(action) failed: \(HDF5Library.lastMessage())")
  }
}

extension HDF5Image {
  /// Gives a dataset its storage, `byteCount` bytes from `offset` of the file on.
  mutating func place(_ tensor: Int, at offset: Int, byteCount: Int) throws(CheckpointError) {
    // Data layout message, version 3, class 1 (contiguous): version, class, address, size.
    let blank: [UInt8] = [3, 1] + [UInt8](repeating: 0xFF, count: 8) + Self.littleEndian(byteCount)
    guard headers.indices.contains(tensor), let start = layoutMessage(ofHeaderAt: headers[tensor]), start + blank.count <= bytes.count,
      bytes[start..<start + blank.count].elementsEqual(blank)
    else { throw unexpected("dataset \(tensor)") }
    bytes.replaceSubrange(start + 2..<start + 10, with: Self.littleEndian(offset))
  }

  /// Enters the size of the whole file.
  mutating func setEndOfFile(_ size: Int) throws(CheckpointError) {
    // Superblock, version 0, with offsets and lengths of 8 bytes; its addresses from byte 24 on: base, free space, end of file.
    guard bytes.count > 48, bytes.starts(with: HDF5File.signature), bytes[8] == 0, bytes[13] == 8, bytes[14] == 8,
      bytes[40..<48].elementsEqual(Self.littleEndian(bytes.count))
    else { throw unexpected("superblock") }
    bytes.replaceSubrange(40..<48, with: Self.littleEndian(size))
  }

  private func layoutMessage(ofHeaderAt address: Int) -> Int? {
    bytes.withUnsafeBytes { bytes in
      let header = HDF5ObjectHeader(in: HDF5RawBytes(bytes), at: address)
      return header?.messages.first { $0.type == HDF5ObjectHeader.MessageType.dataLayout }?.body.lowerBound
    }
  }

  private static func littleEndian(_ value: Int) -> [UInt8] { withUnsafeBytes(of: UInt64(value).littleEndian) { Array($0) } }

  private func unexpected(_ part: String) -> CheckpointError {
    .inputOutput(file: place.file, "this version of the HDF5 library lays out the \(part) in an unknown way")
  }
}
