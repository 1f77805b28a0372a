import Foundation

/// The target that `FUZZ_TARGET` names, in a directory below `TMPDIR`.
private let run: FuzzRun = {
  let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
  guard let type = FuzzTargets.named(name) else {
    stop("FUZZ_TARGET is \"\(name)\"; there are \(FuzzTargets.all.map { $0.name }.joined(separator: ", "))")
  }
  let directory = FileManager.default.temporaryDirectory.appendingPathComponent("fuzz-\(name)-\(getpid())")
  do { return try FuzzRun(type, in: directory) } catch { stop("the target \(name) cannot begin: \(error)") }
}()

private func stop(_ problem: String) -> Never {
  FileHandle.standardError.write(Data("fuzz: \(problem)\n".utf8))
  exit(64)
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  if case .broken(let complaint) = run(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)) {
    FileHandle.standardError.write(Data("fuzz: \(complaint)\n".utf8))
    // The fuzzer keeps the input of a process that ends so.
    abort()
  }
  return 0
}
