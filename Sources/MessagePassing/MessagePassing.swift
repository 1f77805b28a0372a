import Diagnostics
import Distribution
import Foundation

/// The processes that MPI has started together, when it did.
public enum MessagePassing {
  /// Joins them. A process that was started by itself is a group of one, and MPI is not touched.
  /// - Throws: when MPI cannot be started, or when this program was built without it and several were started.
  public static func join() throws(MessagePassingError) -> ProcessGroup {
    guard isLaunched else { return .alone }
    #if MPI
      return ProcessGroup(try MPITransport())
    #else
      guard size > 1 else { return .alone }
      throw MessagePassingError(
        "MPI", "has started \(size) of this program, which was built without MPI", remedy: "build it with `make build-mpi`", kind: .usage)
    #endif
  }

  /// Ends the process in an orderly way, when all others come to it, too.
  public static func leave(_ group: ProcessGroup) {
    #if MPI
      guard isLaunched else { return }
      // MPI itself would wait with busy processors.
      try? group.wait()
      MPITransport.finish()
    #endif
  }

  /// Ends all processes.
  /// - Parameter status: of the whole job.
  public static func abort(_ status: Int32) {
    #if MPI
      if isLaunched { MPITransport.abort(status) }
    #endif
  }

  /// What launchers of Open MPI, of MPICH and its kin, and of Slurm tell the processes that they start.
  private static let marks = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"]

  private static var isLaunched: Bool {
    let environment = ProcessInfo.processInfo.environment
    return marks.contains { environment[$0] != nil }
  }

  private static var size: Int {
    let environment = ProcessInfo.processInfo.environment
    return ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"].lazy.compactMap { environment[$0].flatMap { Int($0) } }.first ?? 1
  }
}

/// Messages that cannot be passed.
public struct MessagePassingError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind = .inputOutput) {
    (self.subject, self.problem, self.remedy, self.kind) = (subject, problem, remedy, kind)
  }
}
