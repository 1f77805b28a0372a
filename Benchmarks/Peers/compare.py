#!/usr/bin/env python3
"""Whole commands against public peers, in turns, medians of the rounds; one JSON document on standard output.

  compare.py [--rounds 5] [--work DIRECTORY] [--llama DIRECTORY] [--python INTERPRETER] [--text FILE] PART...

Parts: prepare copy quantize inference evaluation memory gptq. The package and Benchmarks must be built in release.
--llama: where llama-quantize and llama-bench are. --python: an interpreter with torch, transformers and gguf. What is not there is left out,
and said. Everything else on the machine should be quiet: the document names the load it began with.
"""
import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("DEEPSEEK_OPTIMIZE", ROOT / ".build/release/deepseek-optimize"))
MAKER = Path(os.environ.get("RANDOM_LLAMA", ROOT / "Benchmarks/.build/release/random-llama"))
PEAK = Path(os.environ.get("KERNEL_BENCHMARK", ROOT / "Benchmarks/.build/release/kernel-benchmark"))


def run(*command, **options):
    """Seconds, user and system time, peak memory in bytes, and the output."""
    start = time.perf_counter()
    # A file takes as much as a program has to complain of; a pipe that nobody reads stops it.
    with tempfile.TemporaryFile("w+") as complaints:
        try:
            process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=complaints, text=True, **options)
        except OSError as error:
            sys.exit(f"compare: {command[0]}: {error.strerror}")
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        complaints.seek(0)
        err = complaints.read()
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"compare: {' '.join(map(str, command))}: {err[-2000:] or out[-2000:]}")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024, "out": out}


def median(values):
    return round(statistics.median(values), 4)


def cache(path):
    """Brings a file into memory, as the targets ask."""
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 24):
            pass


def require_built(parts):
    """Ends with one line when an executable that these parts run is not there."""
    needed = [("DEEPSEEK_OPTIMIZE", TOOL, "swift build -c release")]
    if "prepare" in parts:
        needed.append(("RANDOM_LLAMA", MAKER, "swift build -c release --package-path Benchmarks"))
    if "gptq" in parts:
        needed.append(("KERNEL_BENCHMARK", PEAK, "swift build -c release --package-path Benchmarks"))
    for variable, path, build in needed:
        if not os.access(path, os.X_OK) or path.is_dir():
            sys.exit(f"compare: {path} is no executable: run `{build}`, or set {variable} to one")


class Compare:
    def __init__(self, options):
        self.o = options
        self.work = Path(options.work)
        self.ramdisk = Path(options.ramdisk)

    def model(self, name):
        return self.work / name

    def weights(self, name):
        return self.model(name) / "model.safetensors"

    def prepare(self):
        """The random models, their GGUF forms, and our quantized ones."""
        self.work.mkdir(parents=True, exist_ok=True)
        for name in ("half", "four"):
            if not self.weights(name).exists():
                run(MAKER, name, self.model(name))
        for bits in (8, 4):
            out = self.model(f"half-int{bits}")
            if not out.exists():
                run(TOOL, "quant", "--model", self.model("half"), "--output", out, "--bits", bits, "--no-eval", "--quiet",
                    "--override", "re:^lm_head=bits:8,group-size:0")
        w8a8 = self.model("half-w8a8")
        if not w8a8.exists():
            run(TOOL, "quant", "--model", self.model("half"), "--output", w8a8, "--bits", "8", "--activations", "int8", "--no-eval",
                "--quiet", "--override", "re:^lm_head=bits:8,group-size:0")
        if self.o.llama and self.o.python:
            for name in ("half", "four"):
                gguf = self.work / f"{name}.gguf"
                if not gguf.exists():
                    run(self.o.python, Path(__file__).with_name("gguf_of.py"), self.model(name), gguf)
            for kind in ("Q8_0", "Q4_0"):
                gguf = self.work / f"half-{kind}.gguf"
                if not gguf.exists():
                    run(Path(self.o.llama) / "llama-quantize", self.work / "half.gguf", gguf, kind, "2")
        return {"models": sorted(p.name for p in self.work.iterdir())}

    def ours(self, bits, out, *more, model="four"):
        shutil.rmtree(out, ignore_errors=True)
        result = run(TOOL, "quant", "--model", self.model(model), "--output", out, "--bits", bits, "--no-eval", "--quiet", *more)
        result["written"] = (out / "model.safetensors").stat().st_size
        result["report"] = json.loads((out / "report.json").read_text())
        shutil.rmtree(out)
        return result

    def copy(self):
        """Round-to-nearest of 4 GB against a flushed copy: bytes read plus written per second."""
        size = self.weights("four").stat().st_size
        rates = {"dd": [], 8: [], 4: []}
        peaks, cpu = {8: [], 4: []}, {8: [], 4: []}
        for _ in range(self.o.rounds):
            cache(self.weights("four"))
            target = self.work / "copy"
            target.unlink(missing_ok=True)
            dd = run("dd", f"if={self.weights('four')}", f"of={target}", "bs=8M", "conv=fsync")
            target.unlink()
            rates["dd"].append(2 * size / dd["seconds"])
            for bits in (8, 4):
                cache(self.weights("four"))
                ours = self.ours(bits, self.work / "out")
                rates[bits].append((size + ours["written"]) / ours["seconds"])
                peaks[bits].append(ours["peak"])
                cpu[bits].append(ours["cpu"])
        copied = statistics.median(rates["dd"])
        return {"gigabytes_per_second": {str(k): median([v / 1e9 for v in r]) for k, r in rates.items()},
                "spread_of_dd": [round(min(rates["dd"]) / 1e9, 2), round(max(rates["dd"]) / 1e9, 2)],
                "ratio": {bits: round(statistics.median(rates[bits]) / copied, 2) for bits in (8, 4)},
                "cpu_seconds": {bits: median(cpu[bits]) for bits in (8, 4)},
                "peak_megabytes": {bits: round(max(peaks[bits]) / 1e6) for bits in (8, 4)}}

    def quantize(self):
        """Round-to-nearest against llama-quantize, both writing to a memory file system, same threads."""
        result = {}
        for kind, bits in (("Q8_0", 8), ("Q4_0", 4)):
            ours, theirs = [], []
            for _ in range(self.o.rounds):
                cache(self.weights("four"))
                ours.append(self.ours(bits, self.ramdisk / "out", "--threads", "2")["seconds"])
                cache(self.work / "four.gguf")
                target = self.ramdisk / "out.gguf"
                theirs.append(run(Path(self.o.llama) / "llama-quantize", self.work / "four.gguf", target, kind, "2")["seconds"])
                target.unlink()
            result[kind] = {"seconds": median(ours), "llama_quantize": median(theirs),
                            "ratio": round(statistics.median(theirs) / statistics.median(ours), 2)}
        return result

    def inference(self):
        """Tokens per second beside llama-bench, at one and two threads."""
        pairs = [("half", "half"), ("half-int8", "half-Q8_0"), ("half-int4", "half-Q4_0")]
        result = {}
        for threads in (1, 2):
            rates = {}
            for _ in range(self.o.rounds):
                command = [TOOL, "bench", "--rounds", 1, "--threads", threads, "--json", "--model", self.model("half-w8a8")]
                for own, _ in pairs:
                    command += ["--model", self.model(own)]
                for entry in json.loads(run(*command)["out"])["runs"]:
                    name = Path(entry["model"]).name
                    rates.setdefault((name, "prefill"), []).append(entry["prefillTokensPerSecond"])
                    rates.setdefault((name, "decode"), []).append(entry["decodeTokensPerSecond"])
                for _, peer in pairs:
                    out = run(Path(self.o.llama) / "llama-bench", "-m", self.work / f"{peer}.gguf", "-t", threads, "-p", 512, "-n", 64,
                              "-r", 1, "-o", "json")["out"]
                    for entry in json.loads(out):
                        key = "prefill" if entry["n_prompt"] else "decode"
                        rates.setdefault((f"llama.cpp {peer}", key), []).append(entry["avg_ts"])
                if self.o.python:
                    out = run(self.o.python, Path(__file__).with_name("torch_prefill.py"), self.model("half"), threads)["out"]
                    rates.setdefault(("torch bfloat16", "prefill"), []).append(float(out.split()[-1]))
            found = {key: statistics.median(values) for key, values in rates.items()}
            ratios = {f"{own} {phase} over llama.cpp": round(found[own, phase] / found[f"llama.cpp {peer}", phase], 2)
                      for own, peer in pairs for phase in ("prefill", "decode")}
            others = [rate for (name, phase), rate in found.items() if phase == "prefill" and (" " in name)]
            ratios["w8a8 prefill over the fastest other"] = round(found["half-w8a8", "prefill"] / max(others), 2)
            if ("torch bfloat16", "prefill") in found:
                ratios["half prefill over torch"] = round(found["half", "prefill"] / found["torch bfloat16", "prefill"], 2)
            result[f"threads_{threads}"] = {"tokens_per_second": {f"{a} {b}": round(v, 1) for (a, b), v in found.items()}, "ratios": ratios}
        return result

    def evaluation(self):
        """Perplexity of 100k tokens beside PyTorch in bfloat16."""
        ours, exact, theirs, said = [], [], [], ""
        text = self.long_text()
        for index in range(self.o.rounds):
            for compute, into in (("16bit", ours), ("float32", exact)):
                if compute == "float32" and index > 0:
                    continue
                command = (TOOL, "eval", "--model", self.model("half"), "--eval", text, "--eval-tokens", self.o.tokens, "--quiet", "--json",
                           "--compute", compute)
                start = run(*command)
                report = json.loads(start["out"])
                into.append(report["accuracy"]["tokens"] / start["seconds"])
            said = run(self.o.python, Path(__file__).with_name("torch_perplexity.py"), self.model("half"), text, self.o.tokens, 2,
                       "bfloat16")["out"]
            theirs.append(float(said.split()[0]))
        return {"tokens_per_second": {"16bit": median(ours), "float32": median(exact), "torch bfloat16": median(theirs)},
                "ratio": round(statistics.median(ours) / statistics.median(theirs), 2), "torch": said.strip(),
                "note": "ours: the whole command, with opening and digests; torch: the windows alone"}

    def long_text(self):
        """The text as often as it takes for that many tokens: what a random model reads changes no time."""
        text = Path(self.o.text).read_text()
        path = self.work / "evaluation.txt"
        # No tokenizer here makes tokens of more than eight bytes on average.
        path.write_text(text * (8 * self.o.tokens // len(text) + 1))
        return path

    def memory(self):
        """Peak memory of quantizing and evaluating 4 GB beside the largest block."""
        block = (4 * 4096 * 4096 + 3 * 4096 * 11008) * 2
        head = 32000 * 4096 * 2
        out = self.work / "out"
        quantizing = self.ours(4, out)["peak"]
        evaluating = run(TOOL, "eval", "--model", self.model("four"), "--eval", self.o.text, "--eval-tokens", 8192, "--quiet", "--json",
                         "--compute", "16bit")["peak"]
        # The half model under limits of the system: more than that much data cannot be allocated.
        kept = {}
        for limit in (300, 400):
            data = lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
            kept[f"{limit} MB"] = round(run(TOOL, "eval", "--model", self.model("half"), "--eval", self.o.text, "--eval-tokens", 4096,
                                            "--quiet", "--json", "--max-memory", f"{limit}MB", preexec_fn=data)["peak"] / 1e6)
        return {"largest_block_megabytes": round(max(block, head) / 1e6), "quantizing_megabytes": round(quantizing / 1e6),
                "evaluating_megabytes": round(evaluating / 1e6), "half_evaluated_under_a_limit_of": kept}

    def gptq(self):
        """GPTQ end to end beside its products at the measured float peak, one thread."""
        peak = json.loads(run(PEAK, "--threads", 1, "--m", 256, "--n", 1024, "--k", 1024)["out"])
        rate = peak["threads_1"]["billion_operations_per_second"]["peak_float"] * 1e9
        seconds = []
        for _ in range(self.o.rounds):
            ours = self.ours(4, self.work / "out", "--group-size", "128", "--algorithm", "gptq", "--calibration", self.o.calibration,
                             "--threads", "1", "--calibration-samples", "32", "--sequence-length", "512", model="half")
            seconds.append(ours["cpu"])
            # A short text gives fewer windows than were asked for.
            tokens = ours["report"]["calibration"]["tokens"]
        layers = 8
        widths = {2048: (2048, 512, 512), 2049: (2048,), 2050: (5632, 5632), 5632: (2048,)}  # by distinct input: outputs
        forward = gram = factor = feedback = 0
        for key, outputs in widths.items():
            k = 5632 if key == 5632 else 2048
            gram += layers * tokens * k * k
            factor += layers * 4 * k**3 / 3  # the factor, its inverse, and the inverse's factor
            for n in outputs:
                forward += layers * 2 * 2 * tokens * k * n  # before and after
                feedback += layers * n * k * k
        products = (forward + gram + factor + feedback) / rate
        return {"cpu_seconds": median(seconds), "calibration_tokens": tokens, "products_at_peak": round(products, 1),
                "peak_gflops": round(rate / 1e9, 1), "ratio": round(statistics.median(seconds) / products, 2),
                "operations": {"forwards": forward, "hessians": gram, "factors": factor, "feedback": feedback}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=["prepare", "copy", "quantize", "inference", "evaluation", "memory", "gptq"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default=str(ROOT / "Benchmarks/results/models"))
    parser.add_argument("--ramdisk", default="/dev/shm")
    parser.add_argument("--tokens", type=int, default=100352, help="of the evaluation")
    parser.add_argument("--llama")
    parser.add_argument("--python")
    demo = ROOT / "Sources/Recipes/Demo"
    parser.add_argument("--text", default=str(demo / "evaluation.txt"))
    parser.add_argument("--calibration", default=str(demo / "calibration.txt"))
    options = parser.parse_args()
    require_built(options.parts)
    needs = {"quantize": ["llama"], "inference": ["llama"], "evaluation": ["python"]}
    document = {"load": re.split(r"\s", open("/proc/loadavg").read())[0] if os.path.exists("/proc/loadavg") else None}
    comparison = Compare(options)
    if options.parts[0] != "prepare" and not (comparison.weights("half").exists() and comparison.weights("four").exists()):
        sys.exit(f"compare: {comparison.work} has no models: begin with the part prepare")
    for part in options.parts:
        missing = [n for n in needs.get(part, []) if not getattr(options, n)]
        document[part] = f"left out: give --{missing[0]}" if missing else getattr(comparison, part)()
    print(json.dumps(document, indent=2))


main()
