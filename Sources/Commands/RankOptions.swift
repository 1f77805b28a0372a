import ArgumentParser
import DeepSeekOptimize

/// `--enable-tensor-parallel`.
struct DivisionOption: ParsableArguments {
  @Flag(
    help: """
      Under mpirun: run text through each block at all processes together, each computing a part of every layer's outputs, and experts \
      of its own, so that none needs all of the block's weights. The output never depends on it.
      """)
  var enableTensorParallel = false
}

/// Several processes that a dry run plans for.
struct RankOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "With --dry-run: plan for that many processes of `mpirun`, and say who does what, what they exchange, what each holds and how long it takes.",
      valueName: "count"), transform: Count.number)
  var ranks: Int?

  @Option(
    help: ArgumentHelp("Machines that --ranks are spread over, each as this one. Default: 1.", valueName: "count"), transform: Count.number)
  var nodes: Int?

  @Option(
    help: ArgumentHelp(
      "Bytes a second from one of the --ranks to another: 10GB, 1.25GB. Default: 10GB on one machine, 1.25GB between machines.",
      valueName: "size"), transform: ByteSize.read)
  var linkRate: ByteSize?

  func validate() throws {
    guard let ranks else {
      guard nodes == nil, linkRate == nil else {
        throw ValidationError("--nodes and --link-rate say how --ranks reach each other: give --ranks as well, with --dry-run")
      }
      return
    }
    guard (1...65_536).contains(ranks) else { throw ValidationError("--ranks \(ranks) is not from 1 to 65536") }
    if let nodes, !(1...ranks).contains(nodes) { throw ValidationError("--nodes \(nodes) is not from 1 to \(ranks), the --ranks") }
  }

  /// Called where nothing is planned, but done.
  /// - Parameter command: as it is typed.
  func requirePlan(isDryRun: Bool, of command: String) throws {
    guard let ranks, !isDryRun else { return }
    throw ValidationError(
      "--ranks plans processes, together with --dry-run; what starts them is mpirun -n \(ranks) \(command), or srun, without --ranks")
  }

  /// What was asked for, or the processes that this is one of; nil for one by itself.
  func layout() throws -> RankLayout? {
    guard let ranks else {
      let group = Launch.group
      return group.isAlone ? nil : try RankLayout(ranks: group.count, nodes: max(1, Set(group.hosts).count))
    }
    return try RankLayout(ranks: ranks, nodes: nodes ?? 1, linkRate: linkRate.map { Double($0.bytes) })
  }
}
