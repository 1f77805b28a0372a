import Foundation

#if canImport(Darwin)
  import Darwin
#endif

/// What the system knows of this process.
package enum ProcessFigures {
  /// Bytes of memory that are in use now; nil where the system does not say.
  package static var residentBytes: Double? {
    #if canImport(Darwin)
      var info = mach_task_basic_info()
      var count = mach_msg_type_number_t(MemoryLayout<mach_task_basic_info>.size / MemoryLayout<natural_t>.size)
      let result = withUnsafeMutablePointer(to: &info) { pointer in
        pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
          task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
        }
      }
      return result == KERN_SUCCESS ? Double(info.resident_size) : nil
    #else
      // Pages: of the program, resident, shared, …
      guard let text = read("/proc/self/statm"), let pages = text.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) else {
        return nil
      }
      return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    #endif
  }

  /// Bytes of memory that were in use at most (resident set, mapped files included).
  package static var peakBytes: Int {
    #if canImport(Darwin)
      Int(usage.ru_maxrss)
    #else
      // Linux counts in kibibytes.
      Int(usage.ru_maxrss) * 1024
    #endif
  }

  /// Seconds of processor time, of all threads.
  package static var processorSeconds: Double {
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  private static var usage: rusage {
    var usage = rusage()
    #if canImport(Darwin)
      getrusage(RUSAGE_SELF, &usage)
    #else
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    #endif
    return usage
  }

  #if !canImport(Darwin)
    private static func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
  #endif
}
