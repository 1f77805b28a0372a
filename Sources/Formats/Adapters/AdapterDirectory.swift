import Diagnostics
import Foundation
import StructuredData
import Tensors

/// A directory that holds an adapter: which layout it has, and where its two files are.
struct AdapterDirectory {
  let format: AdapterFormat
  let configurationFile: URL
  /// An object.
  let configuration: JSONValue
  let weights: SafeTensorsFile

  init(_ location: URL) throws(CheckpointError) {
    let directory = try CheckpointDirectory(location)
    format = try Self.format(of: directory)
    guard directory.contains(AdapterFormat.configurationFileName) else {
      throw CheckpointError(
        kind: .missingInput, subject: location.relativePath, problem: "it has no \(AdapterFormat.configurationFileName)",
        remedy: "fetch the whole adapter: without rank and scaling its tensors mean nothing")
    }
    configurationFile = try directory.file(AdapterFormat.configurationFileName)
    configuration = try Self.read(configurationFile)
    weights = try SafeTensorsFile(directory.file(format.weightsFileName))
  }

  private static func format(of directory: CheckpointDirectory) throws(CheckpointError) -> AdapterFormat {
    let found = AdapterFormat.allCases.filter { directory.contains($0.weightsFileName) }
    if found.count == 1 { return found[0] }
    let location = directory.location
    if found.count > 1 {
      throw CheckpointError.malformed(
        file: location, "it holds \(found.map(\.weightsFileName).joined(separator: " and "))",
        remedy: "keep the one that \(AdapterFormat.configurationFileName) belongs to")
    }
    if directory.contains("adapter_model.bin") {
      throw CheckpointError.malformed(
        file: location.appendingPathComponent("adapter_model.bin"), "it is a pickle, which can run code when read: refused",
        remedy: "load the adapter with PEFT and save it again with safe_serialization=True")
    }
    if directory.contains("adapters.npz") {
      throw CheckpointError.malformed(
        file: location.appendingPathComponent("adapters.npz"), "it is the layout of an old mlx-lm, which is not supported",
        remedy: "save its arrays with mx.save_safetensors as adapters.safetensors")
    }
    if directory.contains("adapter_model.safetensors.index.json") {
      throw CheckpointError.malformed(
        file: location, "the adapter is cut into shards, which is not supported", remedy: "save it as one adapter_model.safetensors")
    }
    throw CheckpointError(
      kind: .missingInput, subject: location.relativePath,
      problem: "no adapter in it: neither \(AdapterFormat.allCases.map(\.weightsFileName).joined(separator: " nor "))",
      remedy: "name the directory that PEFT or mlx-lm wrote")
  }

  private static func read(_ file: URL) throws(CheckpointError) -> JSONValue {
    let mapping = try MappedFile(file)
    guard mapping.bytes.count <= AdapterFormat.maximumConfigurationBytes else {
      throw CheckpointError.malformed(
        file: file, "it has \(mapping.bytes.count) bytes, more than \(AdapterFormat.maximumConfigurationBytes)", remedy: "fetch it again")
    }
    let document: JSONValue
    do throws(JSONError) { document = try JSONValue(parsing: mapping.bytes) } catch {
      throw CheckpointError.malformed(file: file, "it is not valid JSON: \(error.problem)", remedy: "fetch it again")
    }
    guard document.object != nil else { throw CheckpointError.malformed(file: file, "it is not a JSON object", remedy: "fetch it again") }
    return document
  }
}
