import Tensors

extension TensorDescriptor {
  /// The module that the tensor belongs to, and which part of it it is: `model.layers.0.mlp.up_proj` and `weight`.
  var path: (module: String, part: String) {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return ("", name) }
    return (String(name[..<dot]), String(name[name.utf8.index(after: dot)...]))
  }
}
