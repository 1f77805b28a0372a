import ModelGraph

/// Linear layers as they ran, kept when the run has gone on: later operations may write over what it showed.
package struct RecordedRuns {
  package private(set) var runs: [LinearRun] = []
  /// Whether what the layers gave is kept too; where not, their outputs are empty.
  let hasOutputs: Bool
  /// Copies, by the value: layers that read the same share it.
  private var inputs: [ValueID: Matrix] = [:]

  static let noOutput = Matrix(rows: 0, columns: 0)

  package init(outputs: Bool) { hasOutputs = outputs }

  package mutating func append(_ run: LinearRun) {
    precondition(!run.isElsewhere, "what another process runs cannot be recorded here")
    let value = run.node.inputs[0]
    let input = inputs[value] ?? run.input.copy(rows: 0..<run.input.rows)
    inputs[value] = input
    runs.append(
      LinearRun(
        node: run.node, input: input, output: hasOutputs ? run.output.copy(rows: 0..<run.output.rows) : Self.noOutput, routed: run.routed,
        rows: run.rows))
  }
}
