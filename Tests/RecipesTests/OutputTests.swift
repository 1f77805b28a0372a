import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

@Suite struct OutputTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func output(_ name: String = "out", overwrite: Bool = false) throws -> OutputDirectory {
    try OutputDirectory(URL(fileURLWithPath: directory.path(name)), overwrite: overwrite)
  }

  @Test func nothingIsVisibleBeforeTheEnd() throws {
    do {
      let place = try output()
      try place.write("x", to: "config.json")
      #expect(!FileManager.default.fileExists(atPath: directory.path("out")))
      try place.commit()
    }
    #expect(directory.contents == ["out"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path("out")) == ["config.json"])
  }

  @Test func anAbandonedRunLeavesNothing() throws {
    do { try output().write("x", to: "config.json") }
    #expect(directory.contents.isEmpty)
  }

  @Test func anExistingOutputIsRefusedOrReplaced() throws {
    try output().commit()
    let error = #expect(throws: RecipeError.self) { try output() }
    #expect(error?.kind == .cannotCreate)
    let place = try output(overwrite: true)
    try place.write("new", to: "file")
    try place.commit()
    #expect(directory.contents == ["out"])
    #expect(try String(contentsOfFile: directory.path("out/file"), encoding: .utf8) == "new")
  }

  @Test func twoRunsToOnePlaceExclude() throws {
    let first = try output()
    let error = #expect(throws: RecipeError.self) { try output() }
    #expect(error?.problem.contains("another run") == true)
    // So says a check, which is made before texts are read; and it takes nothing.
    let place = URL(fileURLWithPath: directory.path("out"))
    let checked = #expect(throws: RecipeError.self) { try OutputDirectory.check(place, overwrite: true) }
    #expect(checked?.kind == .cannotCreate && checked?.problem.contains("another run") == true)
    try first.write("x", to: "file")
    try first.commit()
    #expect(directory.contents == ["out"])
  }

  /// A lock is the system's: the file that a killed run left locks nothing.
  @Test func theLockOfAKilledRunHoldsNobodyUp() throws {
    try Data().write(to: URL(fileURLWithPath: directory.path(".out.lock")))
    try OutputDirectory.check(URL(fileURLWithPath: directory.path("out")), overwrite: false)
    try output().commit()
    #expect(directory.contents == ["out"])
  }

  @Test func theLeftoverOfAKilledRunIsClearedAway() throws {
    try FileManager.default.createDirectory(atPath: directory.path(".out.partial"), withIntermediateDirectories: true)
    try "half".write(toFile: directory.path(".out.partial/model.safetensors"), atomically: true, encoding: .utf8)
    try output().commit()
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path("out")).isEmpty)
  }

  /// A refused run must not touch what another run is writing.
  @Test func aRefusedRunLeavesTheLeftoverOfAnother() throws {
    try output().commit()
    try FileManager.default.createDirectory(atPath: directory.path(".out.partial"), withIntermediateDirectories: true)
    try "half".write(toFile: directory.path(".out.partial/model"), atomically: true, encoding: .utf8)
    #expect(throws: RecipeError.self) { try output() }
    #expect(FileManager.default.fileExists(atPath: directory.path(".out.partial/model")))
  }

  @Test func aLinkInThePlaceOfThePartialDirectoryIsNotFollowed() throws {
    try FileManager.default.createDirectory(atPath: directory.path("victim"), withIntermediateDirectories: true)
    try "keep".write(toFile: directory.path("victim/keep"), atomically: true, encoding: .utf8)
    try FileManager.default.createSymbolicLink(atPath: directory.path(".out.partial"), withDestinationPath: directory.path("victim"))
    let error = #expect(throws: RecipeError.self) { try output() }
    #expect(error?.kind == .cannotCreate)
    #expect(directory.contents == [".out.partial", "victim"])
    #expect(FileManager.default.fileExists(atPath: directory.path("victim/keep")))
  }

  @Test func overwritingSparesInputsAndStrangers() throws {
    try FileManager.default.createDirectory(atPath: directory.path("models/m"), withIntermediateDirectories: true)
    let model = URL(fileURLWithPath: directory.path("models/m"))
    for place in ["models", "models/m"] {
      #expect(throws: RecipeError.self) {
        try OutputDirectory(URL(fileURLWithPath: directory.path(place)), overwrite: true, inputs: [model])
      }
    }
    // A directory of directories is no checkpoint.
    #expect(throws: RecipeError.self) { try output("models", overwrite: true) }
    #expect(throws: RecipeError.self) {
      try OutputDirectory(URL(fileURLWithPath: FileManager.default.currentDirectoryPath), overwrite: true)
    }
    #expect(directory.contents == ["models"])
  }

  @Test(arguments: ["missing/out", "file/out", ""])
  func impossiblePlacesAreRefused(_ name: String) throws {
    try "x".write(toFile: directory.path("file"), atomically: true, encoding: .utf8)
    let url = name.isEmpty ? URL(fileURLWithPath: "/") : URL(fileURLWithPath: directory.path(name))
    let error = #expect(throws: RecipeError.self) { try OutputDirectory(url, overwrite: false) }
    #expect(error?.kind == .cannotCreate)
  }
}
