import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors
import Training

/// Writes an adapter that was trained, and the model that it stands beside when that is none that anyone has.
struct FinetunedAdapter {
  let run: FinetuneRun
  let subject: FinetuneSubject
  let place: OutputDirectory

  private var adaptation: LowRankAdaptation { run.settings.adaptation }

  /// Whether the adapter is written as what it changes of the original weights, at twice the rank.
  private var isDifference: Bool { adaptation.start == .principal && run.settings.base == nil }

  /// Where the base is, in the output.
  static let baseName = "base"

  /// Whether the weights beside the adapter are others than the model's, and than what quantizing the model gives.
  static func hasOwnBase(_ settings: FinetuneSettings) -> Bool {
    settings.method == .lora && settings.base != nil && settings.adaptation.start != .zero
  }

  func write() throws {
    let rank = isDifference ? adaptation.differenceRank : adaptation.rank
    let alpha = isDifference ? adaptation.differenceAlpha : Double(adaptation.alpha)
    let hasOwnBase = Self.hasOwnBase(run.settings)
    let configuration = AdapterConfiguration(
      rank: rank, alpha: alpha, isRankStabilized: adaptation.scaling == .rankStabilized, isWeightDecomposed: adaptation.magnitude,
      baseModel: hasOwnBase ? run.output.appendingPathComponent(Self.baseName).path : run.modelName)
    let scaling = adaptation.scaling == .standard ? alpha / Double(rank) : alpha / Double(rank).squareRoot()
    let checkpoint = try AdapterCheckpoint(configuration: configuration, modules: try modules(scaling: scaling))
    let layers = subject.base.blocks.flatMap { subject.base.linears(of: $0).map(\.node.scope) }
    try checkpoint.write(to: place.partial, format: run.adapterFormat, modelModules: layers)
    // What loaders will see is what was trained.
    let again = try AdapterCheckpoint(place.partial)
    for (written, read) in zip(checkpoint.modules, again.modules) {
      guard written.name == read.name, hasBytes(written.a, read.a), hasBytes(written.b, read.b), written.scaling == read.scaling else {
        throw TrainingError(written.name, "was not read again as it was written", remedy: "check the disk", kind: .inputOutput)
      }
    }
    if hasOwnBase { try writeBase() }
  }

  private func modules(scaling: Double) throws -> [AdapterModule] {
    let values = subject.parametrization.values
    return try subject.adapters.map { adapter in
      func matrix(_ id: ParameterID) throws -> Matrix {
        guard let matrix = values[id] else { throw TrainingError(adapter.module, "was not trained", kind: .badData) }
        return matrix
      }
      let (down, up) = (try matrix(adapter.down), try matrix(adapter.up))
      let graph = subject.graph
      let difference = isDifference ? try StartDifference(of: adapter, in: graph, down: down, up: up) : nil
      guard
        let module = AdapterModule(
          name: adapter.module, a: difference?.down ?? down.tensor(graph[adapter.down].shape),
          b: difference?.up ?? up.tensor(graph[adapter.up].shape),
          magnitude: try adapter.magnitude.map { try matrix($0).tensor(graph[$0].shape) }, scaling: scaling)
      else { throw TrainingError(adapter.module, "cannot be saved as an adapter", kind: .badData) }
      return module
    }
  }

  private func hasBytes(_ a: Tensor, _ b: Tensor) -> Bool {
    a.withUnsafeBytes { first in b.withUnsafeBytes { first.elementsEqual($0) } }
  }

  /// The quantized model as it was trained beside; NF4 by its values, which no container here has codes for.
  private func writeBase() throws {
    let format: OutputFormat = run.settings.base?.form == .normalFloat ? .safetensors : .compressedTensors
    let layout = try OutputLayout(model: run.model, graph: subject.base, plan: [:], format: format)
    let configuration = try OutputConfiguration(model: run.model, graph: subject.base, layout: layout)
    let directory = try place.makeDirectory(Self.baseName)
    var weights = try WeightOutput(layout, from: run.model.graph) { _ in
      try SafeTensorsWriter(directory: directory, tensors: layout.tensors)
    }
    for id in subject.base.parameterIDs {
      try Interruption.check()
      guard let entry = layout.parameters[id] else { continue }
      try weights.write(try subject.base[id].load(), entry)
      subject.base[id].releasePages()
    }
    try weights.finish(passingOn: run.model.weights)
    try place.write(configuration.json.text(), to: "\(Self.baseName)/config.json")
    for companion in try run.model.companions() { try place.write(companion.content, to: "\(Self.baseName)/\(companion.name)") }
    _ = try WeightOutput.compare(ModelBundle(opening: directory.path, families: run.model.families), with: weights.digests, progress: nil)
  }
}
