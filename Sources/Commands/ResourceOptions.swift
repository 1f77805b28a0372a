import ArgumentParser

/// What a run may use, and what it shows.
struct ResourceOptions: ParsableArguments {
  @OptionGroup var pool: ThreadsOption

  @Option(
    help: ArgumentHelp("The most memory for activations and buffers: 8GB, 512MiB.", valueName: "size"), transform: ByteSize.read)
  var maxMemory: ByteSize?

  @OptionGroup var longRun: LongRunOptions
  @OptionGroup var display: DisplayOptions

  var threads: Int? { pool.threads ?? Launch.threads }
  var quiet: Bool { display.quiet }
  var json: Bool { display.json }
}

/// `--threads`.
struct ThreadsOption: ParsableArguments {
  @Option(
    help: ArgumentHelp("Worker threads. Default: one per processor. The output never depends on it.", valueName: "count"),
    transform: Count.number)
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads \(threads) is not from 1 to 1024") }
  }
}

/// `--quiet` and `--json`.
struct DisplayOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false

  @Flag(help: "Print the result as JSON alone on standard output.")
  var json = false
}
