import ModelGraph

/// `down(activation(gate(x)) · up(x))`, as it stands in layers, in experts and in those that all tokens share.
struct GatedMLP: Sendable {
  /// The last components of the names of the three layers.
  struct Names: Sendable {
    var gate = "gate_proj"
    var up = "up_proj"
    var down = "down_proj"
  }

  /// What its weights are in the model.
  enum Place: Sendable { case layer, expert, sharedExpert }

  var width: Int
  var place = Place.layer
  var names = Names()
  var bias = false

  func build(
    _ x: ValueID, _ scope: String, _ activation: Activation, _ builder: inout GraphBuilder
  ) throws(GraphError) -> ValueID {
    let roles: (gate: ParameterRole, up: ParameterRole, down: ParameterRole) =
      switch place {
      case .layer: (.mlpGate, .mlpUp, .mlpDown)
      case .expert: (.expertGate, .expertUp, .expertDown)
      case .sharedExpert: (.sharedExpertGate, .sharedExpertUp, .sharedExpertDown)
      }
    let gate = try builder.linear(x, "\(scope).\(names.gate)", outputs: width, role: roles.gate, bias: bias)
    let up = try builder.linear(x, "\(scope).\(names.up)", outputs: width, role: roles.up, bias: bias)
    let activated = builder.gatedActivation(gate: gate, up: up, activation, scope: scope)
    return try builder.linear(activated, "\(scope).\(names.down)", outputs: builder.width(x), role: roles.down, bias: bias)
  }
}
