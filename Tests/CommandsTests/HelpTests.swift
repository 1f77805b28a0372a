import ArgumentParser
import Foundation
import Testing

@testable import Commands

/// What commands say of themselves: help with examples that parse, and completions.
@Suite struct HelpTests {
  private static let roots: [(name: String, command: any ParsableCommand.Type)] = [
    ("deepseek-quant", QuantCommand.self), ("deepseek-finetune", FinetuneCommand.self), ("deepseek-optimize", OptimizeCommand.self),
  ]

  private func commands(below command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
    [command] + command.configuration.subcommands.flatMap(commands)
  }

  /// Lines under EXAMPLES, those that end in a backslash joined with the next.
  private func examples(of command: any ParsableCommand.Type) -> [String] {
    let lines = command.configuration.discussion.split(separator: "\n", omittingEmptySubsequences: false)
    guard let start = lines.firstIndex(of: "EXAMPLES") else { return [] }
    return lines[(start + 1)...].prefix { !$0.isEmpty }.joined(separator: "\n").replacingOccurrences(of: "\\\n", with: " ")
      .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  @Test func everyCommandHasExamplesThatParse() throws {
    for (name, root) in Self.roots {
      for command in commands(below: root) {
        let examples = examples(of: command)
        #expect(!examples.isEmpty, "\(name): \(command)")
        for example in examples { try parse(example) }
      }
    }
  }

  private func parse(_ example: String) throws {
    // What stands behind a pipe and before a file that is written; words in quotes are one.
    let line = example.split(separator: "|").last?.split(separator: ">").first.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
    let words = line.split(separator: "\"", omittingEmptySubsequences: false).enumerated().flatMap { place, part in
      place % 2 == 1 ? [String(part)] : part.split(separator: " ").map { $0.trimmingCharacters(in: ["'"]) }
    }
    let root = try #require(Self.roots.first { $0.name == words.first }, "\(example)")
    #expect(throws: Never.self, "\(example)") { _ = try root.command.parseAsRoot(Array(words.dropFirst())) }
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsHoldNamesAndValues(_ shell: String) throws {
    let shells = ["bash": CompletionShell.bash, "zsh": .zsh, "fish": .fish]
    for (name, root) in Self.roots {
      let script = CompletionScript.text(of: root, for: try #require(shells[shell]))
      for word in ["metrics-port", "output", "max-memory", "time-limit", name] { #expect(script.contains(word), "\(name) \(word)") }
      for word in name == "deepseek-finetune" ? ["cosine", "mlx", "merge"] : ["gptq", "gguf", "W4A16_ASYM", "attention-fp16", "q4_k"] {
        #expect(script.contains(word), "\(name) \(word)")
      }
    }
  }

  /// Options of `train` stand behind the command itself, and `demo` beside files, in the words of the other two shells.
  @Test func trainingIsCompletedWithoutItsName() {
    let zsh = CompletionScript.text(of: FinetuneCommand.self, for: .zsh), fish = CompletionScript.text(of: FinetuneCommand.self, for: .fish)
    let root = zsh.components(separatedBy: "\n}\n").first { $0.hasSuffix("return \"${ret}\"") }
    #expect(root?.contains("\n_deepseek-finetune() {") == true && root?.contains("'--model[") == true)
    #expect(zsh.contains(":{compadd -- demo; _files -g '\\''*.safetensors ") && !zsh.contains("*.demo"))
    #expect(fish.contains("_flags_or_options \"deepseek-finetune\" model' -l 'model'"))
    #expect(fish.contains("echo demo;set -l exts \\'safetensors\\'") && !fish.contains("exts \\'demo"))
  }

  /// What a shell asks back for is found where its script was made.
  @Test(arguments: [("deepseek-finetune", ["---completion", "--"]), ("deepseek-optimize", ["---completion", "finetune", "--"])])
  func shellsAreAnswered(_ name: String, _ words: [String]) throws {
    let run = try CommandProcess([name] + words + ["--recipe", "0", "0"], in: FileManager.default.temporaryDirectory)
    #expect(run.wait() == 0 && run.outputText.contains("lora-all"), "\(run.errorText)")
  }

  /// Who has `--metrics-port` and `--time-limit` is begun as a command that takes long: otherwise both would be read, and do nothing.
  @Test func optionsOfLongRunsAreForLongCommands() {
    var count = 0
    for (_, root) in Self.roots {
      for command in commands(below: root) {
        let hasOptions = root.helpMessage(for: command).contains("\n  --metrics-port")
        #expect(hasOptions == (command is any LongCommand.Type), "\(command)")
        if hasOptions { count += 1 }
      }
    }
    #expect(count > 10)
  }

  /// The model and the output come first, and no example is broken by the width of a terminal.
  @Test func helpBeginsWithTheModelAndFits() {
    for (_, root) in Self.roots {
      for command in commands(below: root) {
        let help = root.helpMessage(for: command, columns: 80)
        if help.contains("MODEL AND OUTPUT:") {
          let sections = help.split(separator: "\n").filter { $0.hasSuffix(":") && $0 == $0.uppercased() && $0.first != " " }
          #expect(sections.first == "MODEL AND OUTPUT:" || sections.first == "ARGUMENTS:", "\(command): \(sections)")
        }
        for line in command.configuration.discussion.split(separator: "\n") where line.hasPrefix("  ") {
          #expect(line.count <= 80, "\(line)")
        }
      }
    }
    #expect(QuantCommand.helpMessage().contains("MODEL AND OUTPUT:") && !PruneCommand.helpMessage().contains("--resume"))
  }

  /// As bash does it when a person presses Tab.
  @Test(arguments: [
    ("deepseek-quant", ["--algorithm", "g"], ["gptq"]), ("deepseek-quant", ["--bits", ""], ["2", "3", "4", "5", "6", "8"]),
    ("deepseek-quant", ["--metr"], ["--metrics-port"]), ("deepseek-optimize", ["ev"], ["eval"]),
    ("deepseek-optimize", ["quant", "--format", "gg"], ["gguf"]), ("deepseek-finetune", ["merge", "--form"], ["--format"]),
    ("deepseek-finetune", ["train", "--schedule", "co"], ["constant", "cosine"]),
    ("deepseek-quant", ["--model", "m"], ["m.gguf", "model"]), ("deepseek-quant", ["--model", "de"], ["demo"]),
    ("deepseek-optimize", ["quant", "--calibration", ""], ["demo", "model", "t.txt"]),
    ("deepseek-finetune", ["--metr"], ["--metrics-port"]), ("deepseek-finetune", ["mer"], ["merge"]),
    ("deepseek-optimize", ["finetune", "--schedule", "co"], ["constant", "cosine"]),
    ("deepseek-quant", ["--eval", ""], ["model", "t.txt"]),
  ])
  func bashCompletes(_ name: String, _ words: [String], _ expected: [String]) throws {
    guard FileManager.default.isExecutableFile(atPath: "/bin/bash") else { return }
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("deepseek-optimize-completion-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    try FileManager.default.createDirectory(at: directory.appendingPathComponent("model"), withIntermediateDirectories: true)
    for file in ["m.gguf", "m.zip", "t.txt"] { try Data().write(to: directory.appendingPathComponent(file)) }
    let root = try #require(Self.roots.first { $0.name == name })
    let all = [name] + words
    let list = all.map(ResumeCommand.quoted).joined(separator: " ")
    let script =
      CompletionScript.text(of: root.command, for: .bash) + """

        COMP_WORDS=(\(list)); COMP_CWORD=\(words.count); COMP_LINE="\(all.joined(separator: " "))"; COMP_POINT=${#COMP_LINE}
        COMP_TYPE=9; COMP_KEY=9
        handler=$(complete -p \(name) | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $handler \(name) "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
        printf '%s\\n' "${COMPREPLY[@]}"
        """
    let file = directory.appendingPathComponent(".script")
    try script.write(to: file, atomically: true, encoding: .utf8)
    let bash = Process()
    bash.executableURL = URL(fileURLWithPath: "/bin/bash")
    bash.arguments = ["--norc", file.path]
    bash.currentDirectoryURL = directory
    let pipe = Pipe()
    bash.standardOutput = pipe
    try bash.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    bash.waitUntilExit()
    let offered = Set(text.split(separator: "\n").map { $0.trimmingCharacters(in: [" ", "/"]) })
    #expect(offered == Set(expected), "\(offered)")
  }
}
