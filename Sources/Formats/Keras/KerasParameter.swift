import Tensors

/// One parameter of a model graph, and where Keras keeps it.
///
/// A `.weights.h5` file names objects by their class and order (`layers/llama_transformer_decoder_1/_feedforward_gate_dense/vars/0`), a legacy
/// `.h5` file by the names of layers and variables (`transformer_layer_1/feedforward_gate_dense/kernel`); dtype policies go by the latter, too.
struct KerasParameter: Sendable {
  enum Arrangement: Sendable, Equatable {
    /// As the graph has it.
    case plain(Shape)
    /// Transposed, its axes split: `inputs` first, then `outputs`. A dense layer has one of each, an einsum layer heads of a width.
    case kernel(inputs: [Int], outputs: [Int])
  }

  /// `model.layers.1.mlp.gate_proj.weight`.
  let name: String
  /// The layer among the objects of the file, with dots: `llama_transformer_decoder_1._feedforward_gate_dense`.
  let object: String
  /// The layer among names, with slashes: `transformer_layer_1/feedforward_gate_dense`.
  let layer: String
  /// The variable of that layer: its name, and its place among the layer's variables, dense and quantized to int8.
  let variable: String
  let index: Int
  let quantizedIndex: Int
  let arrangement: Arrangement

  init(
    _ name: String, object: String, layer: String, variable: String = "kernel", index: Int = 0, quantizedIndex: Int? = nil,
    _ arrangement: Arrangement
  ) {
    self.name = name
    self.object = object
    self.layer = layer
    self.variable = variable
    self.index = index
    self.quantizedIndex = quantizedIndex ?? index
    self.arrangement = arrangement
  }

  /// The shape in the graph.
  var shape: Shape {
    switch arrangement {
    case .plain(let shape): shape
    case .kernel(let inputs, let outputs): [outputs.reduce(1, *), inputs.reduce(1, *)]
    }
  }

  /// The shape in the file.
  var storedShape: Shape {
    switch arrangement {
    case .plain(let shape): shape
    case .kernel(let inputs, let outputs): Shape(inputs + outputs)
    }
  }

  /// The shape of the scales of int8 codes: one an output of a dense layer, one a row of an embedding; an einsum layer spreads them over what
  /// it computes, batch and position included.
  var scaleShape: Shape {
    switch arrangement {
    case .plain(let shape): [shape[0]]
    case .kernel(let inputs, let outputs): inputs.count + outputs.count > 2 ? Shape([1, 1] + outputs) : Shape(outputs)
    }
  }
}
