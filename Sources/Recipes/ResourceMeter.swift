import Diagnostics
import Foundation
import Reporting

/// What a run cost: time and memory as the system accounts for them, bytes as the sizes of the files that went in and came out.
enum ResourceMeter {
  /// The most memory the process has held at once, in bytes (resident set, mapped files included).
  static func peakMemory() -> Int? {
    var usage = rusage()
    #if canImport(Darwin)
      return getrusage(RUSAGE_SELF, &usage) == 0 ? Int(usage.ru_maxrss) : nil
    #else
      // Linux counts in kibibytes.
      return getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 ? Int(usage.ru_maxrss) * 1024 : nil
    #endif
  }

  static func resources(
    since start: ContinuousClock.Instant, clock: ContinuousClock, bytesRead: Int, bytesWritten: Int?, threads: Int
  ) -> CompressionReport.Resources {
    CompressionReport.Resources(
      wallSeconds: start.duration(to: clock.now).seconds, peakMemoryBytes: peakMemory(),
      bytesRead: bytesRead, bytesWritten: bytesWritten, threads: threads)
  }
}
