import CHDF5
import Tensors

/// Walks the groups of a file from its root and describes every dataset. It follows hard links only, and no group twice.
struct HDF5Walker {
  private let fileSize: Int
  private let place: HDF5Place
  private let structure: HDF5StructureCheck
  private var datasets: [HDF5Dataset] = []
  /// How often each object was reached, by its address.
  private var visits: [UInt64: Int] = [:]
  private var linkCount = 0
  private var storedBytes: UInt64 = 0

  static let greatestDepth = 64
  static let greatestLinkCount = 1_000_000
  /// Tied weights may stand under a few names; thousands would make a small file unfold into a large one.
  static let greatestNameCount = 8

  /// The file must outlive the walk.
  init(_ file: HDF5File, place: HDF5Place) {
    self.place = place
    fileSize = file.bytes.count
    structure = HDF5StructureCheck(bytes: HDF5RawBytes(UnsafeRawBufferPointer(rebasing: file.bytes[file.start...])))
  }

  /// Every dataset under the names that tensors have.
  mutating func walk(root: borrowing HDF5Identifier) throws(CheckpointError) -> NameTable<HDF5Dataset> {
    var address: UInt64 = 0
    guard chdf5_object_address(root.raw, &address) >= 0 else { throw place.libraryFailure("examining the root group") }
    guard visit(address) == 1 else { throw place.malformed("its root was walked already") }
    try structure.check(objectAt: address, place)
    try walk(root, path: "", name: "", depth: 0)
    let table = NameTable(datasets.map { ($0.descriptor.name, $0) })
    if let name = table.duplicate {
      throw place.malformed(
        "two datasets would both be the tensor \(CheckpointError.shortened(name))",
        remedy: "rename one of them")
    }
    return table
  }

  private mutating func walk(
    _ group: borrowing HDF5Identifier, path: String, name: String, depth: Int
  ) throws(CheckpointError) {
    let here = path.isEmpty ? place : place.object(path)
    guard depth <= Self.greatestDepth else { throw here.malformed("groups are nested deeper than \(Self.greatestDepth)") }
    for entry in try links(of: group, at: here) {
      let component = try Self.validated(entry, at: here)
      let child = "\(path)/\(component)"
      let there = place.object(child)
      try refuseUnlessHard(entry.kind, there)
      // Where the link itself says that the object is: the library decodes its header only after the check, and no other one.
      try structure.check(objectAt: entry.address, there)
      let visits = visit(entry.address)
      guard let object = HDF5Identifier(chdf5_open_object(group.raw, entry.address)) else {
        throw there.libraryFailure("opening the object")
      }
      let childName = name.isEmpty ? component : "\(name).\(component)"
      switch H5Iget_type(object.raw) {
      case H5I_GROUP:
        guard visits == 1 else { throw there.malformed("this group is reached on two ways, so that the links form a cycle or an alias") }
        try walk(object, path: child, name: childName, depth: depth + 1)
      case H5I_DATASET: try add(object, path: child, name: childName, visits: visits)
      default: throw there.malformed("it is neither a group nor a dataset")
      }
    }
  }

  private mutating func add(
    _ object: borrowing HDF5Identifier, path: String, name: String, visits: Int
  ) throws(CheckpointError) {
    let here = place.object(path)
    guard visits <= Self.greatestNameCount else { throw here.malformed("this dataset has more than \(Self.greatestNameCount) names") }
    let dataset = try HDF5Dataset(object, path: path, name: name, fileSize: fileSize, place: here)
    if visits == 1 {
      let (sum, overflow) = storedBytes.addingReportingOverflow(dataset.storedBytes)
      guard !overflow, sum <= UInt64(fileSize) else {
        throw place.malformed("its datasets declare more stored bytes than the file's \(fileSize), so that they overlap")
      }
      storedBytes = sum
    }
    datasets.append(dataset)
  }

  /// Counts a visit of the object there, and returns how many there were.
  private mutating func visit(_ address: UInt64) -> Int {
    visits[address, default: 0] += 1
    return visits[address, default: 0]
  }

  private mutating func links(
    of group: borrowing HDF5Identifier, at here: HDF5Place
  ) throws(CheckpointError) -> [HDF5NameList.Entry] {
    var list = HDF5NameList(limit: Self.greatestLinkCount - linkCount)
    let status = withUnsafeMutablePointer(to: &list) { list in
      chdf5_visit_links(
        group.raw,
        { name, kind, address, context in
          guard let name, let list = context?.assumingMemoryBound(to: HDF5NameList.self) else { return -1 }
          return list.pointee.append(name, kind: kind, address: address)
        }, list)
    }
    guard status >= 0 else { throw here.libraryFailure("reading the group") }
    guard !list.isOverfull else { throw place.malformed("it holds more than \(Self.greatestLinkCount) objects") }
    linkCount += list.entries.count
    return list.entries
  }

  /// A link's name as one component of a path: nothing that the library would resolve as a path, nothing invisible.
  private static func validated(_ entry: HDF5NameList.Entry, at here: HDF5Place) throws(CheckpointError) -> String {
    guard let name = entry.name else { throw here.malformed("the name of an object is not UTF-8") }
    guard !name.isEmpty, name != ".", name != "..",
      !entry.bytes.contains(where: { $0 == UInt8(ascii: "/") || $0 < 0x20 || $0 == 0x7F })
    else { throw here.malformed("\"\(CheckpointError.shortened(name))\" is not an acceptable name of an object") }
    return name
  }

  private func refuseUnlessHard(_ kind: Int32, _ here: HDF5Place) throws(CheckpointError) {
    let remedy = "replace the link by what it points to (h5repack or h5py can copy it)"
    switch kind {
    case 0: return
    case 1: throw here.malformed("it is a soft link, which is not followed", remedy: remedy)
    case 64: throw here.malformed("it is a link into another file, which is not followed", remedy: remedy)
    default: throw here.malformed("it is a user-defined link, which is not followed", remedy: remedy)
    }
  }
}
