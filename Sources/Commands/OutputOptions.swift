import ArgumentParser

/// Where the output goes.
struct OutputOptionsOf<Resume: ResumeChoice>: ParsableArguments {
  @Option(
    help: """
      The directory to write; it must not exist. Default: the model's name and what became of it, in the working directory: demo-int4, \
      demo-pruned; of a recipe its own name: demo-w4-gptq.
      """, completion: .directory)
  var output: String?

  @Flag(help: "Replace an existing output.")
  var overwrite = false

  @OptionGroup var resuming: Resume

  var resume: Bool { resuming.resume }

  func validate() throws {
    if let output, [".", "..", "/"].contains(output) || output.allSatisfy(\.isWhitespace) {
      throw ValidationError("--output '\(output)' is not the name of a new directory")
    }
  }
}

typealias OutputOptions = OutputOptionsOf<ResumeFlag>

/// `--resume`, as a command takes it.
protocol ResumeChoice: ParsableArguments {
  var resume: Bool { get }
}

/// Of commands that save what they did.
struct ResumeFlag: ResumeChoice {
  @Flag(help: "Continue a run with the same model and recipe that was stopped (Ctrl-C, --time-limit) or killed.")
  var resume = false
}

/// Of commands that save nothing on their way: help does not offer it, and who asks for it is told.
struct NothingToResume: ResumeChoice {
  @Flag(help: .hidden)
  var resume = false

  func validate() throws {
    if resume { throw ValidationError("--resume: this command saves nothing that it could continue: run it again without") }
  }
}
