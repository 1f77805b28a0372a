import CHDF5
import Foundation
import Testing

@testable import Formats

/// A library that the environment offers for a filter must not be loaded by a file that asks for it.
@Suite struct HDF5PluginTests {
  /// Leaves a file behind when it is loaded, whatever for.
  static let program = """
    #include <stdio.h>
    #include <stdlib.h>
    __attribute__((constructor)) static void loaded(void) {
      FILE *file = fopen(getenv("DSO_TEST_MARKER"), "w");
      if (file) fclose(file);
    }
    int H5PLget_plugin_type(void) { return 0; }
    const void *H5PLget_plugin_info(void) { return NULL; }
    """

  /// Makes the library, and returns where it will say that it was loaded.
  static func makePlugin(in directory: URL) throws -> URL {
    let source = directory.appendingPathComponent("filter.c")
    try program.write(to: source, atomically: true, encoding: .utf8)
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    compiler.arguments = ["cc", "-shared", "-fPIC", "-o", directory.appendingPathComponent("libfilter.so").path, source.path]
    try compiler.run()
    compiler.waitUntilExit()
    try #require(compiler.terminationStatus == 0)
    return directory.appendingPathComponent("loaded")
  }

  /// In a process of its own: the library looks at its environment once.
  @Test func noPluginIsLoaded() async {
    await #expect(processExitsWith: .success) {
      let directory = try TemporaryDirectory()
      let marker = try HDF5PluginTests.makePlugin(in: directory.url)
      setenv("HDF5_PLUGIN_PATH", directory.url.path, 1)
      setenv("DSO_TEST_MARKER", marker.path, 1)
      let error = #expect(throws: CheckpointError.self) { try HDF5Fixture.open("hostile-plugin") }
      #expect(error?.problem.contains("zstd") == true)
      #expect(!FileManager.default.fileExists(atPath: marker.path))
      // It is one that the library would have taken: with plug-ins allowed, asking for the filter loads it.
      H5PLset_loading_state(0xFFFF)
      _ = H5Zfilter_avail(32015)
      #expect(FileManager.default.fileExists(atPath: marker.path))
    }
  }
}
