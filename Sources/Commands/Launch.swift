import ArgumentParser
import DeepSeekOptimize
import Foundation
import MessagePassing

/// How this process was started: by itself, or as one of several.
enum Launch {
  /// The processes that share the command.
  nonisolated(unsafe) private(set) static var group = ProcessGroup.alone

  /// Joins the others, before anything is printed or read.
  static func begin() throws {
    group = try MessagePassing.join()
    guard !group.isAlone else { return }
    Interruption.leaveToGroup()
    try check()
    guard !group.isFirst else { return }
    // The first process speaks for all.
    Terminal.isMuted = true
    let nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC)
    if nowhere >= 0 { dup2(nowhere, STDOUT_FILENO) }
  }

  /// Every process must compute the same from the same: another program, or other instructions, would come to other last bits, and then to
  /// other decisions; other flags, to other exchanges.
  private static func check() throws {
    if let program = try difference("\(Tool.version), \(KernelSet.name)", verb: "is") {
      throw ValidationError(
        "\(program): start one program everywhere, with DEEPSEEK_OPTIMIZE_ISA set to instructions that all have")
    }
    // With other flags they would wait for each other for ever.
    let name = URL(fileURLWithPath: CommandLine.arguments.first ?? "").lastPathComponent
    if let command = try difference(([name] + CommandLine.arguments.dropFirst()).joined(separator: " "), verb: "runs") {
      throw ValidationError("\(command): start the same command everywhere")
    }
  }

  /// What is not the same at all processes, in words; nil where it is.
  private static func difference(_ own: String, verb: String) throws -> String? {
    let all = try group.gather(Array(own.utf8)).map { String(decoding: $0, as: UTF8.self) }
    guard let other = all.firstIndex(where: { $0 != all[0] }) else { return nil }
    return "Rank 0 on \(group.hosts[0]) \(verb) \(all[0]), rank \(other) on \(group.hosts[other]) \(verb) \(all[other])"
  }

  /// Worker threads, where none are asked for: the processors, divided among the processes of this machine.
  static var threads: Int? {
    group.processesHere > 1 ? max(1, ProcessInfo.processInfo.activeProcessorCount / group.processesHere) : nil
  }

  /// Ends the process; in a group when all have come to it, and at once where it failed.
  /// - Parameter isAgreed: whether all processes end this way.
  static func end(_ status: Int32, saying text: String? = nil, isAgreed: Bool = false) -> Never {
    guard !group.isAlone else {
      if let text { Terminal.printError(text) }
      MessagePassing.leave(group)
      exit(status)
    }
    // A missed gate is no failure, everything was written; and a stop is one that all know of. The first process tells the status.
    guard status != 0, let text, !isAgreed else {
      if let text { Terminal.printError(text) }
      MessagePassing.leave(group)
      exit(group.isFirst ? status : 0)
    }
    // What all of them find out, a mistyped flag say, the first one says; what one alone does, that one.
    // A signal that ends this wait is the job's end.
    if !group.isFirst, sleep(2) > 0 { exit(status) }
    Terminal.isMuted = false
    let place = group.isFirst ? "" : "rank \(group.rank) on \(group.hosts[group.rank]): "
    Terminal.printError(text.hasPrefix("error: ") ? "error: \(place)\(text.dropFirst(7))" : text)
    MessagePassing.abort(status)
    exit(status)
  }
}
