import DeepSeekOptimize
import Foundation

/// A file that a command writes beside what it prints.
enum TextOutput {
  static func write(_ text: String, to file: String) throws {
    do { try text.write(toFile: file, atomically: true, encoding: .utf8) } catch {
      throw RecipeError(file, "cannot be written", remedy: "check that its directory exists", kind: .cannotCreate)
    }
  }
}
