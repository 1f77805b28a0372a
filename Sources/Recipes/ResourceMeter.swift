import Diagnostics
import Reporting

/// What a run cost: time and memory as the system accounts for them, bytes as the sizes of the files that went in and came out.
enum ResourceMeter {
  static func resources(
    since start: ContinuousClock.Instant, clock: ContinuousClock, bytesRead: Int, bytesWritten: Int?, threads: Int
  ) -> CompressionReport.Resources {
    CompressionReport.Resources(
      wallSeconds: start.duration(to: clock.now).seconds, peakMemoryBytes: ProcessFigures.peakBytes,
      bytesRead: bytesRead, bytesWritten: bytesWritten, threads: threads)
  }
}
