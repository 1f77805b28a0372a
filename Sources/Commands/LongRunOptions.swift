import ArgumentParser
import DeepSeekOptimize
import Foundation
import Telemetry

/// What commands share that may work for hours.
struct LongRunOptions: ParsableArguments {
  @Option(
    name: .customLong("metrics-port"),
    help: ArgumentHelp(
      """
      Serve progress, tokens per second and memory to Prometheus, at http://127.0.0.1:PORT/metrics: 9464; 0 for any free port, which is printed; \
      0.0.0.0:9464 for other machines too.
      """, valueName: "port"), transform: MetricsAddress.read)
  var metrics: MetricsAddress?

  @Option(help: ArgumentHelp("Stop after this long, as Ctrl-C does: 90s, 30min, 1h30m.", valueName: "time"), transform: TimeSpan.read)
  var timeLimit: TimeSpan?

  func validate() throws {
    if let timeLimit, timeLimit.seconds <= 0 { throw ValidationError("--time-limit must be above 0") }
  }

  /// Called before any work.
  func begin(_ command: String) throws {
    if let metrics, Launch.group.isFirst { try RunTelemetry.serve(at: metrics, command: command) }
    guard let timeLimit else { return }
    let thread = Thread {
      Thread.sleep(forTimeInterval: timeLimit.seconds)
      Terminal.printError("--time-limit: \(NumberText.estimate(timeLimit.seconds)) are over; stopping")
      Interruption.request()
    }
    thread.start()
  }
}

extension MetricsAddress: WrittenValue {
  static let forms = "a port from 0 to 65535, or an address and a port: 9464 or 0.0.0.0:9464"

  public init?(argument: String) { self.init(argument) }
}

/// A command that may work for hours.
protocol LongCommand: ParsableCommand {
  var longRun: LongRunOptions { get }
}

extension QuantCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension QuantSubcommand: LongCommand { var longRun: LongRunOptions { command.longRun } }
extension PruneCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension ReplaceCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension DistillCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension RunCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension MergeCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension UnmergeCommand: LongCommand { var longRun: LongRunOptions { runOptions.resources.longRun } }
extension EvalCommand: LongCommand { var longRun: LongRunOptions { resources.longRun } }
extension ConvertCommand: LongCommand { var longRun: LongRunOptions { resources.longRun } }
extension TrainCommand: LongCommand {}
extension GenerateCommand: LongCommand {}
extension BenchCommand: LongCommand {}
