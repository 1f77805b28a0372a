import Diagnostics
import Tensors

extension ColumnPackedEncoding {
  /// - Throws: of kind `usage` when the layout cannot hold a weight of that scheme and shape.
  func check(_ scheme: QuantizationScheme, shape: Shape, module: String) throws(CheckpointError) {
    func refused(_ problem: String, _ remedy: String) -> CheckpointError {
      CheckpointError(kind: .usage, subject: "\(module).weight", problem: problem, remedy: remedy)
    }
    guard shape.rank == 2, shape[0] > 0, shape[1] > 0, shape[0] <= Self.maximumExtent, shape[1] <= Self.maximumExtent else {
      throw refused("a weight of shape \(shape) cannot be quantized", "leave it dense with --ignore")
    }
    guard scheme.levels == .even, scheme.scales == .direct, scheme.offset != .minimum else {
      throw refused(
        "\(name) cannot hold \(scheme.name): it has integers with zero points",
        scheme.offset == .minimum && scheme.scales == .direct
          ? "minima that are whole numbers of steps are passed on, others are not: quantize the original with --format \(name)"
          : "use --format compressed-tensors, or leave --type out")
    }
    guard scheme.activations == .none else {
      throw refused("\(name) cannot hold quantized activations", "use --format compressed-tensors, or --activations none")
    }
    guard bits.contains(scheme.bits) else {
      throw refused(
        "\(name) cannot hold \(scheme.bits) bits",
        self == .awq ? "use --bits 4, or --format gptq" : "use --bits 4 or 8, or --format compressed-tensors")
    }
    let (outputs, inputs) = (shape[0], shape[1])
    let size = scheme.granularity.groupSize(inputs: inputs)
    if self == .awq, ![32, 64, 128].contains(size) || scheme.granularity == .channel {
      let fitting = [128, 64, 32].filter { inputs % $0 == 0 }
      throw refused(
        "awq has groups of 32, 64 or 128 inputs",
        fitting.isEmpty
          ? "--ignore it: none of them divides its \(inputs) inputs"
          : "use --group-size \(fitting.map(String.init).joined(separator: ", "))")
    }
    guard inputs % size == 0 else {
      let nearest = [128, 64, 32, 16].first { $0 < size && inputs % $0 == 0 } ?? 0
      throw refused("groups of \(size) do not divide \(inputs) inputs", "use --group-size \(nearest)")
    }
    guard outputs * scheme.bits % 32 == 0, inputs * scheme.bits % 32 == 0 else {
      throw refused(
        "\(name) packs \(scheme.bits)-bit codes into words of 32 bits on both sides, which \(outputs) outputs of \(inputs) inputs do not fill",
        "--ignore it, or use --format compressed-tensors")
    }
  }

  /// The widths that its loaders read.
  private var bits: [Int] { self == .awq ? [4] : [2, 3, 4, 8] }

  /// Larger extents come from damaged files; the bound keeps every product of an extent and a width representable.
  static let maximumExtent = 1 << 31
}
