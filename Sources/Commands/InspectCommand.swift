import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize inspect`.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "What a checkpoint holds: family, tensors, types, bits per weight; with --graph its graph.",
    discussion: """
      EXAMPLES
        deepseek-optimize inspect --model demo
        deepseek-optimize inspect demo-int8 --graph
      """)

  @Argument(help: "The model, when not given by --model.", completion: .model)
  var path: String?

  @OptionGroup var model: ModelOption

  @Flag(help: "Print the typed graph: one line an operation, with parameters, roles and storage.")
  var graph = false

  @Flag(help: "Print the summary as JSON.")
  var json = false

  func run() throws {
    let bundle: ModelBundle
    do { bundle = try ModelBundle(opening: path ?? model.model) } catch let failure as any Failure where !graph && failure.kind == .badData
    {
      // A model that cannot be understood can still be looked at.
      let checkpoint = try ModelBundle.checkpoint(of: path ?? model.model)
      Terminal.print(Inspection.listing(checkpoint))
      throw failure
    }
    if graph {
      Terminal.print(bundle.graph.description)
      return
    }
    let inspection = Inspection(bundle)
    if json { Terminal.print(json: inspection.json) } else { Terminal.print(inspection.text) }
  }
}
