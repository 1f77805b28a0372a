#if MPI
  import DeepSeekOptimize
  import Foundation
  import Testing

  /// The commands as MPI starts them, several processes on this machine, against the same by themselves.
  @Suite(.serialized) struct MPITests {
    private let place: CommandDirectory
    private var directory: URL { place.url }

    init() throws {
      place = try CommandDirectory()
      let line = "{\"prompt\": \"The colour of the box is\", \"completion\": \" blue like the sea\"}\n"
      try String(repeating: line, count: 40).write(to: directory.appendingPathComponent("data.jsonl"), atomically: true, encoding: .utf8)
    }

    /// As root and beyond the number of processors, as containers are.
    private static let environment = [
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
      "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    ]

    private func start(_ words: String, ranks: Int) throws -> CommandProcess {
      let words = words.split(separator: " ").map(String.init)
      let program = CommandProcess.products.appendingPathComponent(words[0]).path
      return try CommandProcess(
        ["/usr/bin/env", "mpirun", "-n", "\(ranks)", "--bind-to", "none", program] + words.dropFirst(), in: directory,
        environment: Self.environment)
    }

    private func files(_ name: String) throws -> [String: Data] {
      let place = directory.appendingPathComponent(name)
      let names = try FileManager.default.subpathsOfDirectory(atPath: place.path).filter { !$0.contains("report.") }
      var result: [String: Data] = [:]
      for name in names {
        let file = place.appendingPathComponent(name)
        guard try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
        result[name] = try Data(contentsOf: file)
      }
      return result
    }

    /// Without figures of time, and digests of what tells them.
    private func report(_ name: String) throws -> JSONValue {
      func timeless(_ value: JSONValue) -> JSONValue {
        let times: Set = ["resources", "speed", "seconds", "tokensPerSecond", "reportSHA256", "files"]
        guard let object = value.object else { return value.array.map { .array($0.map(timeless)) } ?? value }
        var result = JSONObject()
        for member in object.members where !times.contains(member.key) { result[member.key] = timeless(member.value) }
        return .object(result)
      }
      return timeless(try StoredReport.read(directory.appendingPathComponent(name).path).json)
    }

    private static let small = "--eval-tokens 1024 --sequence-length 128 --threads 1"

    @Test(arguments: [
      "deepseek-quant --bits 4 --group-size 64 \(small)",
      "deepseek-quant --bits 4 --algorithm gptq --calibration demo --calibration-samples 12 \(small)",
      "deepseek-quant --bits 4 --algorithm gptq --calibration demo --calibration-samples 12 --enable-tensor-parallel \(small)",
      "deepseek-quant --bits 4 --algorithm qat --calibration demo --calibration-samples 12 --training-steps 4 \(small)",
      "deepseek-finetune --data data.jsonl --steps 3 --batch-size 2 --accumulate 4 --sequence-length 64 --rank 4 --threads 1",
      "deepseek-optimize prune --ratio 0.3 --calibration demo --calibration-samples 12 \(small)",
      "deepseek-optimize distill --teacher demo --student demo --data demo --feature-steps 2 --logit-steps 2 --policy-steps 2"
        + " --robustness-steps 2 --batch-windows 2 --window-length 64 \(small)",
    ])
    func anyNumberMakesTheSame(_ command: String) throws {
      var alone: (files: [String: Data], report: JSONValue)?
      for ranks in 1...4 {
        let process = try start("\(command) --output out\(ranks)", ranks: ranks)
        try #require(process.wait() == 0, "\(process.errorText)")
        let found = (files: try files("out\(ranks)"), report: try report("out\(ranks)"))
        guard let alone else {
          #expect(found.files.count > 2)
          alone = found
          continue
        }
        #expect(found.files == alone.files && found.report == alone.report, "\(ranks) ranks")
      }
    }

    /// Processes that MPI started for this output.
    private func members(_ output: String) -> [pid_t] {
      let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { pid_t($0) } ?? []
      return all.filter { id in
        guard let bytes = FileManager.default.contents(atPath: "/proc/\(id)/cmdline") else { return false }
        let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        return words.first?.hasSuffix("deepseek-finetune") == true && words.contains(output)
      }
    }

    /// A process that is killed ends all of them, and another number goes on to the same bytes.
    @Test func whoIsKilledLosesNothing() throws {
      let command =
        "deepseek-finetune --data data.jsonl --steps 30 --batch-size 2 --accumulate 4 --sequence-length 64 --rank 4 --save-every 1 --threads 1"
      let undisturbed = try start("\(command) --output whole", ranks: 1)
      try #require(undisturbed.wait() == 0, "\(undisturbed.errorText)")
      let killed = try start("\(command) --output out", ranks: 3)
      let state = directory.appendingPathComponent(".out.partial/state/state.json")
      let end = Date(timeIntervalSinceNow: 60)
      while !FileManager.default.fileExists(atPath: state.path) {
        try #require(Date() < end, "\(killed.errorText)")
        usleep(10_000)
      }
      let members = members("out")
      try #require(members.count == 3)
      kill(members[2], SIGKILL)
      #expect(killed.wait() != 0)
      #expect(killed.errorText.contains("signal 9"), "\(killed.errorText)")
      #expect(!FileManager.default.fileExists(atPath: directory.appendingPathComponent("out").path))
      let resumed = try start("\(command) --output out --resume", ranks: 2)
      try #require(resumed.wait() == 0, "\(resumed.errorText)")
      #expect(try files("out") == files("whole"))
      #expect(try report("out") == report("whole"))
    }

    /// What goes wrong at one process is said with its place; what goes wrong at all of them once.
    @Test func failuresAreSaidOnce() throws {
      let process = try start("deepseek-quant --bits 5.5 --output out", ranks: 3)
      #expect(process.wait() == 64)
      #expect(process.errorText.components(separatedBy: "error: ").count == 2, "\(process.errorText)")
      let missing = try start("deepseek-quant --bits 8 --model nowhere --output out", ranks: 2)
      #expect(missing.wait() == 66)
      #expect(missing.errorText.components(separatedBy: "error: ").count == 2, "\(missing.errorText)")
    }

    /// Processes that would wait for each other for ever.
    @Test func anotherCommandIsRefused() throws {
      let words = [CommandProcess.products.appendingPathComponent("deepseek-quant").path, "--no-eval", "--output", "out", "--bits"]
      let process = try CommandProcess(
        ["/usr/bin/env", "mpirun", "--bind-to", "none", "-n", "1"] + words + ["8", ":", "-n", "1"] + words + ["4"], in: directory,
        environment: Self.environment)
      #expect(process.wait() == 64)
      #expect(process.errorText.contains("start the same command everywhere"), "\(process.errorText)")
      #expect(!FileManager.default.fileExists(atPath: directory.appendingPathComponent("out").path))
    }

    /// Processes whose directories are not the same one.
    @Test func aDirectoryThatIsNotSharedIsSaid() throws {
      let program = CommandProcess.products.appendingPathComponent("deepseek-quant").path
      for name in ["a", "b"] {
        try FileManager.default.createDirectory(at: directory.appendingPathComponent(name), withIntermediateDirectories: true)
      }
      let words = [program, "--bits", "8", "--no-eval", "--output", "out"]
      let process = try CommandProcess(
        ["/usr/bin/env", "mpirun", "--bind-to", "none", "-n", "1", "-wdir", "a"] + words + [":", "-n", "1", "-wdir", "b"] + words,
        in: directory, environment: Self.environment)
      #expect(process.wait() == 73)
      #expect(process.errorText.contains("rank 1") && process.errorText.contains("is not the directory that the first process"))
      #expect((try? files("a/out")) == nil)
    }
  }
#endif
