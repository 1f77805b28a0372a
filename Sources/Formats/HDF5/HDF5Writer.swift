import Foundation
import Synchronization
import Tensors

/// Writes a plain HDF5 state dict: `model.norm.weight` becomes the dataset `/model/norm/weight`, contiguous and little-endian.
///
/// Types are stored natively where HDF5 has them. bfloat16 becomes a 16-bit float type (8 exponent bits, bias 127) with the attribute
/// `dtype="bfloat16"`, an 8-bit float becomes unsigned bytes with its name in `dtype` (`float8_e4m3fn` and so on), a boolean h5py's
/// enumeration. 4- and 6-bit floats and complex numbers are refused.
///
/// All tensors are announced first, so every byte has its place, and tensors may be written in any order and from several threads. The file
/// records no times: the same tensors and attributes make the same bytes.
public final class HDF5Writer: CheckpointWriter, Sendable {
  private enum Progress { case announced, writing, written }

  private struct State {
    var progress: [Progress]
    var isFinished = false
  }

  private let url: URL
  private let output: OutputFile
  private let places: NameTable<HDF5Layout.Place>
  private let state: Mutex<State>

  /// Lays the file out under a temporary name beside its final one.
  /// - Parameters:
  ///   - url: where it will be; an existing file is refused.
  ///   - tensors: all that will be written, in any order.
  ///   - attributes: texts for the attributes of the root, such as `config.json`.
  public convenience init(
    creating url: URL, tensors: [TensorDescriptor], attributes: [String: String] = [:]
  ) throws(CheckpointError) {
    try self.init(creating: url, tensors: tensors, attributes: attributes, bfloat16: .float)
  }

  init(
    creating url: URL, tensors: [TensorDescriptor], attributes: [String: String] = [:], bfloat16: HDF5ElementType.BFloat16
  ) throws(CheckpointError) {
    guard access(url.path, F_OK) != 0 else {
      throw .cannotCreate(file: url, "it exists already", remedy: "choose another name, or remove it")
    }
    let layout = try HDF5Layout(of: tensors, attributes: attributes, bfloat16: bfloat16, file: url)
    self.url = url
    places = layout.places
    output = try OutputFile(url, byteCount: layout.byteCount)
    try output.write(layout.image)
    state = Mutex(State(progress: Array(repeating: .announced, count: places.entries.count)))
  }

  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard let place = places[name] else { throw .usage(file: url, tensor: name, "it was not announced") }
    guard bytes.count == place.byteCount else {
      throw .usage(file: url, tensor: name, "it was announced with \(place.byteCount) bytes and is written with \(bytes.count)")
    }
    let isFirst = state.withLock { state in
      guard !state.isFinished, state.progress[place.index] == .announced else { return false }
      state.progress[place.index] = .writing
      return true
    }
    guard isFirst else { throw .usage(file: url, tensor: name, "it is written twice, or after the file was finished") }
    try output.write(bytes, at: place.offset, tensor: name)
    state.withLock { $0.progress[place.index] = .written }
  }

  public func finish() throws(CheckpointError) {
    let (isFirst, progress) = state.withLock { state in
      defer { state.isFinished = true }
      return (!state.isFinished, state.progress)
    }
    guard isFirst else { throw .usage(file: url, "it is finished twice") }
    if let missing = places.entries.first(where: { progress[$0.value.index] != .written }) {
      throw .usage(file: url, tensor: missing.name, "it was announced and not written")
    }
    try output.flush()
    try output.publish()
    try OutputFile.flushDirectory(url.deletingLastPathComponent())
  }
}
