#!/usr/bin/env python3
"""Faults while runs work: kills, full disks, input/output errors, inputs that vanish, limits, two runs to one output.

    Tests/Faults/faults.py EXECUTABLE [--kills 100] [--seed 1] [--only quant,kill] [--work DIR] [--json]

EXECUTABLE is deepseek-optimize. Every run is on the demo model with small settings. After each fault OUTPUT must be absent or complete (`verify`, and
the very bytes of an undisturbed run), beside it there may be nothing but what the documents name, the status and the one line must be right, and the
run that follows, with --resume where there is something to continue, must end with the bytes of the undisturbed run. Exit status 1 when anything is
wrong. Needs Python's standard library, a C compiler (CC, or clang, gcc or cc) and Linux; disks that are full or read-only take root.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Name, arguments without OUTPUT, whether --resume is taken. The clock of intervals runs faster (interposer.c), so that short runs save as well.
COMMANDS = {
    "quant": ("quant --bits 8 --eval-tokens 2048 --sequence-length 256", True),
    "gptq": ("quant --bits 4 --algorithm gptq --calibration demo --calibration-samples 8 --eval-tokens 2048 --sequence-length 256", True),
    "gguf": ("quant --recipe gguf-q4_k_m --no-eval", True),
    "qat": ("quant --bits 4 --algorithm qat --calibration demo --calibration-samples 24 --training-steps 60 --training scales"
            " --eval-tokens 1024 --sequence-length 64", True),
    "finetune": ("finetune --data train.jsonl --steps 24 --batch-size 2 --sequence-length 64 --save-every 2 --eval-every 4 --rank 4", True),
    "prune": ("prune --ratio 0.3 --calibration demo --calibration-samples 8 --eval-tokens 2048 --sequence-length 256", False),
    "distill": ("distill --teacher model --student student --data demo --feature-steps 60 --logit-steps 60 --policy-steps 4 --robustness-steps 8"
                " --batch-windows 1 --window-length 32 --eval-tokens 1024 --sequence-length 256", True),
    "stages": ("run stages.yaml --calibration demo --eval-tokens 1024 --sequence-length 256", True),
}

STAGES = """passes:
- prune: {mlp: 0.25}
- gptq: {bits: 4}
"""

# What a run may leave beside OUTPUT when it is killed, or when there is something to continue (Docs/reliability.md).
LEFTOVERS = {".out.partial", ".out.lock"}
JOURNALS = ("journal.json", "stages.json", "distillation.json", "state", "training")
# Figures of time, which differ from run to run, and what depends on them.
TIMES = {"resources", "speed", "seconds", "tokensPerSecond", "reportSHA256"}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(member) for key, member in value.items() if key not in TIMES}
    if isinstance(value, list):
        kept = [without_times(member) for member in value if not (isinstance(member, dict) and member.get("name") in ("report.html", "README.md"))]
        return [member for member in kept if not (isinstance(member, str) and member.startswith("progress could not be saved"))]
    return value


def contents(output):
    """Every file with its digest; of the report what does not tell times."""
    found = {}
    for place, _, names in os.walk(output):
        for name in names:
            path = os.path.join(place, name)
            key = os.path.relpath(path, output)
            if key == "report.json":
                with open(path) as file:
                    found[key] = without_times(json.load(file))
            elif key == "README.md":
                # A warning of a save that failed stands on the card too.
                with open(path) as file:
                    found[key] = [line for line in file if line.strip() and "could not be saved" not in line and "Read this first" not in line]
            elif key != "report.html":
                found[key] = digest(path)
    return found


class Harness:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.executable = os.path.abspath(options.executable)
        self.work = os.path.abspath(options.work)
        self.rows, self.wrong = {}, []
        self.baseline, self.seconds, self.calls, self.input_calls = {}, {}, {}, {}
        self.can_mount = False
        os.makedirs(self.work, exist_ok=True)
        self.place, self.input, self.small = (os.path.join(self.work, name) for name in ("place", "input", "small"))
        self.build()
        self.prepare()

    # What runs are made of.

    def build(self):
        self.interposer = os.path.join(self.work, "interposer.so")
        compilers = [os.environ.get("CC"), "clang", "gcc", "cc"]
        compiler = next(name for name in compilers if name and shutil.which(name))
        subprocess.run(
            [compiler, "-O1", "-fPIC", "-shared", os.path.join(HERE, "interposer.c"), "-o", self.interposer, "-ldl"], check=True)

    def prepare(self):
        shutil.rmtree(self.input, ignore_errors=True)
        os.makedirs(self.input)
        # The demo model lies beside the executable: a copy that may be harmed.
        demo = None
        for place, _, names in os.walk(os.path.join(os.path.dirname(os.path.realpath(self.executable)), "DeepSeekOptimize_Recipes.resources")):
            if "model.safetensors" in names or "model.safetensors.index.json" in names:
                demo = place
        if demo is None:
            sys.exit("faults: the demo model does not lie beside " + self.executable)
        self.original = os.path.join(self.work, "original")
        shutil.rmtree(self.original, ignore_errors=True)
        shutil.copytree(demo, self.original)
        shutil.copytree(self.original, os.path.join(self.input, "model"))
        with open(os.path.join(self.input, "train.jsonl"), "w") as file:
            for number in range(60):
                file.write(json.dumps({"prompt": f"The colour of box {number % 7} is", "completion": f" blue like the {number % 5} seas"}) + "\n")
        with open(os.path.join(self.input, "stages.yaml"), "w") as file:
            file.write(STAGES)
        self.run_plain(["quant", "--bits", "3", "--no-eval", "--model", "model", "--output", "quantized", "-q"])
        # A student that has something to learn, in floating point.
        self.run_plain(["convert", "--format", "safetensors", "--model", "quantized", "--output", "student", "-q"])

    def run_plain(self, arguments):
        done = subprocess.run([self.executable] + arguments, cwd=self.input, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"faults: {' '.join(arguments)}: status {done.returncode}: {done.stderr}")

    def arguments(self, name, output, resume=False):
        words = COMMANDS[name][0].split()
        if "--student" not in words:
            words += ["--model", "model"]
        return [self.executable] + words + ["--output", output, "-q"] + (["--resume"] if resume and COMMANDS[name][1] else [])

    def environment(self, **faults):
        # Runs of all kinds are made with the same clock; the text of a recipe's name never changes.
        variables = dict(os.environ, LD_PRELOAD=self.interposer, FAULTS_UNDER=self.place, FAULTS_CLOCK="100")
        for key, value in faults.items():
            variables["FAULTS_" + key] = str(value)
        return variables

    def start(self, name, output=None, resume=False, limits=(), **faults):
        def limit():
            for kind, value in limits:
                resource.setrlimit(kind, (value, value))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        return subprocess.Popen(
            self.arguments(name, output or os.path.join(self.place, "out"), resume), cwd=self.input, env=self.environment(**faults),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=limit)

    def finish(self, process):
        try:
            _, error = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            _, error = process.communicate()
            error += "error: it did not end in 300 s\n"
        return process.returncode, error

    def run(self, name, **options):
        return self.finish(self.start(name, **options))

    def fresh(self):
        shutil.rmtree(self.place, ignore_errors=True)
        os.makedirs(self.place)

    def measure(self, name):
        """The undisturbed run, twice: what it makes, how long it takes, how often it calls."""
        results = []
        for _ in range(2):
            self.fresh()
            count, start = os.path.join(self.work, "count"), time.monotonic()
            status, error = self.run(name, COUNT=count)
            self.seconds[name] = time.monotonic() - start
            if status != 0:
                sys.exit(f"faults: {name}: status {status}: {error}")
            with open(count) as file:
                self.calls[name] = json.load(file)
            results.append(contents(os.path.join(self.place, "out")))
        if results[0] != results[1]:
            self.blame(name, "undisturbed", f"two runs differ: {self.difference(*results)}")
        self.baseline[name] = results[0]
        self.fresh()
        self.run(name, COUNT=count, UNDER=self.input)
        with open(count) as file:
            self.input_calls[name] = json.load(file)
        self.fresh()
        print(f"{name}: {self.seconds[name]:.2f} s, {self.calls[name]['changes']} changing calls, "
              f"{self.input_calls[name]['reads']} reads of inputs", file=sys.stderr)

    # What must hold.

    @staticmethod
    def difference(one, other):
        names = sorted(set(one) | set(other))
        text = []
        for name in names:
            if one.get(name) == other.get(name):
                continue
            if name == "report.json" and isinstance(one.get(name), dict) and isinstance(other.get(name), dict):
                keys = [key for key in {**one[name], **other[name]} if one[name].get(key) != other[name].get(key)]
                text.append("report.json: " + ", ".join(f"{key} {str(one[name].get(key))[:200]} / {str(other[name].get(key))[:200]}" for key in keys))
            else:
                text.append(name if name in one and name in other else f"{name} in one only")
        return "; ".join(text)

    def blame(self, name, fault, what):
        self.wrong.append({"command": name, "fault": fault, "what": what})
        print(f"WRONG {name}, {fault}: {what}", file=sys.stderr)

    def row(self, name, fault):
        keys = ("injected", "complete", "absent", "continued", "identical", "wrong")
        return self.rows.setdefault((fault, name), dict.fromkeys(keys, 0))

    def verified(self, name, fault, place):
        """Whether OUTPUT is there; then it must be complete."""
        output = os.path.join(place, "out")
        if not os.path.lexists(output):
            return False
        done = subprocess.run([self.executable, "verify", output, "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            self.blame(name, fault, f"verify: status {done.returncode}: {done.stderr.strip()}")
        found = contents(output)
        if found != self.baseline[name]:
            self.blame(name, fault, f"OUTPUT is there and differs: {self.difference(self.baseline[name], found)}")
        return True

    def check(self, name, fault, place=None, killed=False):
        """After a fault. Returns whether OUTPUT is complete."""
        place = place or self.place
        left = set(os.listdir(place))
        complete = self.verified(name, fault, place)
        others = left - {"out"} - LEFTOVERS
        if others:
            self.blame(name, fault, f"left behind: {sorted(others)}")
        if not killed and ".out.lock" in left:
            self.blame(name, fault, "a lock was left behind")
        if not killed and ".out.partial" in left and not self.has_journal(place):
            self.blame(name, fault, f"an unfinished output that nothing continues was left behind: {os.listdir(place + '/.out.partial')}")
        row = self.row(name, fault)
        row["complete" if complete else "absent"] += 1
        return complete

    def has_journal(self, place=None):
        partial = os.path.join(place or self.place, ".out.partial")
        return any(file.startswith(JOURNALS) for file in (os.listdir(partial) if os.path.isdir(partial) else []))

    def check_message(self, name, fault, status, error, allowed):
        """One line that names what is wrong, and a status that the documents give for it."""
        lines = error.strip().split("\n")
        if status not in allowed:
            self.blame(name, fault, f"status {status} instead of {sorted(allowed)}: {error.strip()[-300:]}")
        elif status != 0 and (len(lines) != 1 or not lines[0].startswith("error: ")):
            self.blame(name, fault, f"status {status}, and not one line: {error.strip()[-600:]}")

    def resume(self, name, fault, place=None, complete=False, kills=0):
        """Goes on to the end, killed again on the way as often as asked for; then everything must be as if nothing had happened."""
        place = place or self.place
        output = os.path.join(place, "out")
        row = self.row(name, fault)
        if not complete and COMMANDS[name][1] and self.has_journal(place):
            row["continued"] += 1
        for _ in range(kills if not complete else 0):
            process = self.start(name, output=output, resume=True)
            self.kill_after(process, self.random.uniform(0, self.seconds[name]))
            complete = self.verified(name, fault + ", then killed while resuming", place)
            if complete:
                break
        status, error = self.run(name, output=output, resume=True)
        if complete:
            if status != 73 or "exists already" not in error:
                self.blame(name, fault, f"a complete output was not left alone: status {status}: {error.strip()}")
        elif status != 0:
            self.blame(name, fault, f"resuming: status {status}: {error.strip()}")
        if self.verified(name, fault, place):
            row["identical"] += contents(output) == self.baseline[name]
        else:
            self.blame(name, fault, "no output after resuming")
        left = set(os.listdir(place)) - {"out"} - ({".out.lock", ".out.partial"} if complete else set())
        if left:
            self.blame(name, fault, f"left behind at the end: {sorted(left)}")

    def injected(self, name, fault, before):
        row = self.row(name, fault)
        row["injected"] += 1
        row["wrong"] += len(self.wrong) > before

    @staticmethod
    def kill_after(process, seconds):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.communicate()

    # Faults.

    def kills(self, name, count):
        for number in range(count):
            self.fresh()
            before = len(self.wrong)
            # Half at any time, half at the calls that change files, which take little of the time and are where things can go wrong.
            if number % 2 == 0:
                fault = "killed at a time"
                process = self.start(name)
                self.kill_after(process, self.random.uniform(0, self.seconds[name]))
            else:
                fault = "killed in a call"
                process = self.start(name, KILL=self.random.randint(1, self.calls[name]["changes"]))
                _, error = self.finish(process)
                if process.returncode != -signal.SIGKILL:
                    # Saves depend on the time: there may be fewer calls than there were.
                    self.check_message(name, fault, process.returncode, error, {0})
            complete = self.check(name, fault, killed=True)
            self.resume(name, fault, complete=complete, kills=self.random.choice([0, 0, 0, 1, 2]))
            self.injected(name, fault, before)

    def calls_fail(self, name, count):
        kinds = [("write", 28, "+", "no space at a call"), ("write", 5, "", "writing fails (EIO)"), ("sync", 5, "", "flushing fails (EIO)"),
                 ("rename", 5, "", "renaming fails (EIO)")]
        for kind, code, on, fault in kinds:
            for _ in range(count):
                calls = self.calls[name][kind]
                if not calls:
                    continue
                self.fresh()
                before = len(self.wrong)
                status, error = self.run(name, FAIL=f"{kind}:{code}:{self.random.randint(1, calls)}{on}")
                # Progress that cannot be saved does not end a run.
                self.check_message(name, fault, status, error, {0, 73, 74})
                complete = self.check(name, fault)
                if complete != (status == 0):
                    # The name was given, and only then something failed.
                    if not (complete and status == 74):
                        self.blame(name, fault, f"status {status} with{'' if complete else 'out'} an output: {error.strip()}")
                self.resume(name, fault, complete=complete)
                self.injected(name, fault, before)

    def inputs_fail(self, name, count):
        for kind, code, fault, allowed in [("read", 5, "reading fails (EIO)", {0, 74}), ("map", 12, "mapping fails (ENOMEM)", {0, 74}),
                                           ("open", 24, "no handles left at a call", {0, 66, 74})]:
            for _ in range(count):
                calls = self.input_calls[name][kind]
                if not calls:
                    continue
                self.fresh()
                before = len(self.wrong)
                status, error = self.run(name, UNDER=self.input, FAIL=f"{kind}:{code}:{self.random.randint(1, calls)}")
                self.check_message(name, fault, status, error, allowed)
                complete = self.check(name, fault)
                self.resume(name, fault, complete=complete)
                self.injected(name, fault, before)

    def short(self, name, _):
        fault = "short reads and writes"
        self.fresh()
        before = len(self.wrong)
        status, error = self.run(name, UNDER=self.work, SHORT=1)
        self.check_message(name, fault, status, error, {0})
        self.resume(name, fault, complete=self.check(name, fault))
        self.injected(name, fault, before)

    def restore(self):
        for file in os.listdir(self.original):
            # Times are a part of what a run is known by: the very file comes back.
            source, target = os.path.join(self.original, file), os.path.join(self.input, "model", file)
            if os.path.isfile(source):
                shutil.copy2(source, target)

    def inputs_vanish(self, name, count):
        weights = os.path.join(self.input, "model", "model.safetensors")
        for fault, harm in [("input removed midway", os.unlink), ("input cut short midway", lambda path: os.truncate(path, os.path.getsize(path) // 3))]:
            for _ in range(count):
                self.fresh()
                before = len(self.wrong)
                process = self.start(name)
                try:
                    process.wait(self.random.uniform(0, self.seconds[name]))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGSTOP)
                    harm(weights)
                    process.send_signal(signal.SIGCONT)
                status, error = self.finish(process)
                self.check_message(name, fault, status, error, {0, 65, 66, 74})
                complete = self.check(name, fault, killed=status < 0 or status == 74)
                self.restore()
                self.resume(name, fault, complete=complete)
                self.injected(name, fault, before)

    def limited(self, name, count):
        fault = "few file handles"
        for handles in self.random.sample(range(4, 14), min(count, 10)):
            self.fresh()
            before = len(self.wrong)
            status, error = self.run(name, limits=[(resource.RLIMIT_NOFILE, handles)])
            if status == 127:
                # Not even the libraries could be loaded.
                continue
            self.check_message(name, f"{fault} ({handles})", status, error, {0, 66, 73, 74})
            self.resume(name, fault, complete=self.check(name, fault))
            self.injected(name, fault, before)
        fault = "little memory"
        for _ in range(count):
            self.fresh()
            before = len(self.wrong)
            limit = int(2 ** self.random.uniform(22, 27))
            status, error = self.run(name, limits=[(resource.RLIMIT_DATA, limit)])
            if status == 127:
                continue
            self.check_message(name, f"{fault} ({limit >> 20} MiB)", status, error, {0, 74})
            self.resume(name, fault, complete=self.check(name, fault, killed=status == 74))
            self.injected(name, fault, before)
        fault = "files may not grow"
        for _ in range(count):
            self.fresh()
            before = len(self.wrong)
            status, error = self.run(name, limits=[(resource.RLIMIT_FSIZE, int(2 ** self.random.uniform(9, 22)))])
            self.check_message(name, fault, status, error, {0, 74})
            self.resume(name, fault, complete=self.check(name, fault))
            self.injected(name, fault, before)

    def full_disk(self, name, count):
        """A file system of its own that is too small; then it gets larger."""
        if not self.can_mount:
            return
        fault = "disk full"
        whole = sum(os.path.getsize(os.path.join(place, file)) for place, _, files in os.walk(self.sample(name)) for file in files)
        for _ in range(count):
            before = len(self.wrong)
            size = max(8192, int(whole * self.random.uniform(0.02, 1.0))) // 4096 * 4096
            with Mounted(self.small, size):
                status, error = self.run(name, output=os.path.join(self.small, "out"), UNDER=self.small)
                self.check_message(name, f"{fault} ({size} bytes)", status, error, {73, 74})
                complete = self.check(name, fault, place=self.small)
                if "space" not in error:
                    self.blame(name, fault, f"the message does not say that the disk is full: {error.strip()}")
                subprocess.run(["mount", "-o", "remount,size=256m", self.small], check=True)
                self.resume(name, fault, place=self.small, complete=complete)
            self.injected(name, fault, before)

    def sample(self, name):
        self.fresh()
        self.run(name)
        return os.path.join(self.place, "out")

    def refused_places(self, name, _):
        fault = "read-only or no parent"
        cases = [(os.path.join(self.work, "none", "out"), None), ("/dev/null/out", None)]
        if self.can_mount:
            cases.append((os.path.join(self.small, "out"), "ro"))
        for output, mount in cases:
            before = len(self.wrong)
            if mount:
                with Mounted(self.small, 1 << 20, "ro"):
                    status, error = self.run(name, output=output)
            else:
                status, error = self.run(name, output=output)
            self.check_message(name, fault, status, error, {73})
            self.row(name, fault)["absent"] += 1
            self.injected(name, fault, before)

    def two_runs(self, name, count):
        fault = "two runs to one OUTPUT"
        for number in range(count):
            self.fresh()
            before = len(self.wrong)
            first = self.start(name)
            while not os.path.exists(os.path.join(self.place, ".out.partial")) and first.poll() is None:
                time.sleep(0.002)
            first.send_signal(signal.SIGSTOP)
            if first.poll() is None and not os.path.exists(os.path.join(self.place, "out")):
                start = time.monotonic()
                status, error = self.run(name, resume=number % 2 == 1)
                self.check_message(name, fault, status, error, {73})
                if "another run" not in error:
                    self.blame(name, fault, f"the message does not name the other run: {error.strip()}")
                # At once: before the work, though not before the model is opened and the texts are read.
                if time.monotonic() - start > max(2, self.seconds[name] / 2):
                    self.blame(name, fault, f"the second was refused after {time.monotonic() - start:.1f} s only")
            if number % 2 == 0:
                # The first is not disturbed by the second.
                first.send_signal(signal.SIGCONT)
                status, error = self.finish(first)
                self.check_message(name, fault, status, error, {0})
                complete = self.check(name, fault)
            else:
                # The lock ends with the run that held it.
                first.kill()
                first.communicate()
                complete = self.check(name, fault, killed=True)
            self.resume(name, fault, complete=complete)
            self.injected(name, fault, before)

    def all(self):
        groups = [("kill", self.kills, None), ("calls", self.calls_fail, 2), ("inputs", self.inputs_fail, 2), ("short", self.short, 1),
                  ("vanish", self.inputs_vanish, 2), ("limits", self.limited, 3), ("disk", self.full_disk, 3), ("places", self.refused_places, 1),
                  ("two", self.two_runs, 2)]
        wanted = set(filter(None, (self.options.only or "").split(",")))
        known = set(COMMANDS) | {group[0] for group in groups}
        if wanted - known:
            sys.exit(f"faults: --only knows {', '.join(sorted(known))}")
        commands = [name for name in COMMANDS if name in wanted] or list(COMMANDS)
        chosen = [group for group in groups if group[0] in wanted] or groups
        for index, name in enumerate(commands):
            self.measure(name)
            for group, work, count in chosen:
                start = time.monotonic()
                if count is None:
                    count = self.options.kills // len(commands) + (index < self.options.kills % len(commands))
                work(name, count)
                print(f"  {group}: {time.monotonic() - start:.0f} s", file=sys.stderr)

    def table(self):
        titles = ("fault", "command", "injected", "complete", "absent", "continued", "identical", "wrong")
        rows = [(fault, name) + tuple(row[key] for key in titles[2:]) for (fault, name), row in self.rows.items()]
        rows.sort(key=lambda row: (row[0],))
        if rows:
            rows.append(("all", "") + tuple(sum(row[column] for row in rows) for column in range(2, len(titles))))
        widths = [max(len(str(row[column])) for row in [titles] + rows) for column in range(len(titles))]
        for row in [titles] + rows:
            print("  ".join(str(cell).ljust(width) if column < 2 else str(cell).rjust(width)
                            for column, (cell, width) in enumerate(zip(row, widths))).rstrip())


class Mounted:
    """A tmpfs of a size, for as long as it is used."""

    def __init__(self, place, size, options=""):
        self.place, self.options = place, f"size={size}" + (f",{options}" if options else "")

    def __enter__(self):
        os.makedirs(self.place, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", self.options, "faults", self.place], check=True)

    def __exit__(self, *_):
        subprocess.run(["umount", self.place], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("executable")
    parser.add_argument("--kills", type=int, default=100, help="kills, over all commands together (100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="commands and kinds of fault, with commas: quant,kill")
    parser.add_argument("--work", default="/tmp/deepseek-optimize-faults", help="a directory for all files, which is replaced")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # Mounts of a namespace of its own end with it. Who cannot have one does without full disks.
    if os.geteuid() == 0 and "FAULTS_NAMESPACE" not in os.environ and shutil.which("unshare"):
        trial = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"]
        if subprocess.run(trial, capture_output=True).returncode == 0:
            os.environ["FAULTS_NAMESPACE"] = "1"
            os.execvp("unshare", ["unshare", "-m", sys.executable, os.path.abspath(__file__)] + sys.argv[1:])
    shutil.rmtree(options.work, ignore_errors=True)
    harness = Harness(options)
    harness.can_mount = os.environ.pop("FAULTS_NAMESPACE", "") == "1"
    if not harness.can_mount:
        print("faults: no file system can be mounted here: full and read-only disks are left out", file=sys.stderr)
    harness.all()
    if options.json:
        rows = [{"fault": fault, "command": name, **row} for (fault, name), row in harness.rows.items()]
        print(json.dumps({"seed": options.seed, "rows": rows, "wrong": harness.wrong}, indent=2))
    else:
        harness.table()
    shutil.rmtree(options.work, ignore_errors=True)
    sys.exit(1 if harness.wrong else 0)


if __name__ == "__main__":
    main()
