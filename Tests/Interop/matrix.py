#!/usr/bin/env python3
"""Every (family, bits, scheme, format) that we write, loaded by the runtime that it is for, and what it makes of it beside what we do.

  matrix.py EXECUTABLE MODEL TEXT [--families F ...] [--formats F ...] [--only TEXT] [--docs FILE] [--work DIRECTORY [--resume | --kept]]
            [--limit SECONDS]

EXECUTABLE is deepseek-optimize, MODEL the Llama of the matrix (the demo model), TEXT what is scored. The other families are small models that
runtimes/models.py trains on TEXT; runtimes/cells.py says what is tried. Of each cell: EXECUTABLE writes the file, scores it (`eval`, in float32) and
saves the logits of the first window; the runtime, in a process of its own (runtimes/worker.py), scores the same windows of the same tokens. A cell is

  green     perplexities differ by no more than 0.3 %, or 1 % where the runtime rounds activations itself; of an encoder, whose embeddings are compared,
            the least cosine is 0.9999, or 0.999
  refused   the format cannot express it: EXECUTABLE must say so with its usage status, name a remedy and write nothing
  red       anything else: a file that the runtime does not load, other values, a refusal that should not be, a process that died or took too long

Of each family and runtime the tokens of a text in many scripts are compared as well. With --docs the matrix is written as a page; with --work all
that is made is kept, and --resume takes the cells of the same EXECUTABLE from there; --kept tries no others. Exit status 1 when a cell is red.
"""

import argparse
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from runtimes.cells import CONTEXT, COSINE, COSINE_SENSITIVITY, FAMILIES, FORMATS, ROUNDED_COSINE, SENSITIVITY, TOKENS, UNICODE, cells
from runtimes.page import page, verdict_line

HERE = Path(__file__).resolve().parent
USAGE = 64


class Runtime:
  """One worker process, started when it is first asked and again when it died."""

  def __init__(self, name, log):
    self.name, self.log, self.process, self.answers = name, log, None, None

  def start(self):
    self.process = subprocess.Popen(
      [sys.executable, HERE / "runtimes/worker.py", self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
    self.answers = queue.Queue()
    threading.Thread(target=self.read, args=(self.process.stdout, self.answers), daemon=True).start()

  @staticmethod
  def read(stream, answers):
    for line in stream:
      answers.put(line)
    answers.put(None)

  def ask(self, seconds, **request):
    if self.process is None:
      self.start()
    try:
      self.process.stdin.write(json.dumps(request) + "\n")
      self.process.stdin.flush()
      line = self.answers.get(timeout=seconds)
    except queue.Empty:
      self.stop()
      return {"error": f"{self.name} took longer than {seconds} s"}
    except BrokenPipeError:
      line = None
    if line is None:
      status = self.process.wait()
      self.process = None
      return {"error": f"{self.name} ended with status {status}"}
    return json.loads(line)

  def stop(self):
    if self.process:
      self.process.kill()
      self.process.wait()
      self.process = None


class Matrix:
  def __init__(self, arguments, directory):
    self.executable, self.text, self.limit, self.directory = arguments.executable, arguments.text, arguments.limit, directory
    self.demo = arguments.model
    self.log = open(directory / "log.txt", "a")
    self.runtimes, self.streams, self.models = {}, {}, {}
    self.lines = [line.strip() for line in Path(self.text).read_text(encoding="utf-8").split("\n") if line.strip()][:24]
    (directory / "lines.txt").write_text("\n".join(self.lines) + "\n", encoding="utf-8")

  def run(self, *command):
    command = [str(part) for part in command]
    try:
      return subprocess.run(command, capture_output=True, text=True, timeout=self.limit)
    except subprocess.TimeoutExpired:
      return subprocess.CompletedProcess(command, 75, "", f"took longer than {self.limit} s")

  def checked(self, *command):
    result = self.run(self.executable, *command)
    if result.returncode != 0:
      raise RuntimeError(f"we: {command[0]}: status {result.returncode}: {' '.join(result.stderr.split())[:300]}")
    return result.stdout

  def runtime(self, name):
    if name not in self.runtimes:
      self.runtimes[name] = Runtime(name, self.log)
    return self.runtimes[name]

  def source(self, family):
    """The model of a family and what it notices; made once."""
    if family not in self.models:
      kept = self.directory / "models" / f"{family}.json"
      if not kept.exists():
        print(f"{family}: a small model", file=sys.stderr, flush=True)
        result = subprocess.run(
          [sys.executable, HERE / "runtimes/models.py", self.directory / "models", self.demo, self.text, family], stdout=self.log, stderr=self.log)
        if result.returncode != 0:
          raise RuntimeError(f"runtimes/models.py {family} failed: see {self.directory}/log.txt")
      self.models[family] = json.loads(kept.read_text())
    return self.directory / "models" / family

  def windows(self, family):
    if family not in self.streams:
      found = json.loads(self.checked("tokenize", "--model", self.source(family), "--file", self.text, "--whole", "--json"))
      stream = [token for line in found for token in line][:TOKENS]
      self.streams[family] = [stream[start : start + CONTEXT] for start in range(0, len(stream) - CONTEXT + 1, CONTEXT)]
    return self.streams[family]

  def write(self, cell, output):
    """Runs the command of a cell; what it says when it fails."""
    shutil.rmtree(output, ignore_errors=True)
    flags = [self.text if flag == "TEXT" else flag for flag in cell.flags]
    return self.run(self.executable, *flags, "--model", self.source(cell.family), "--output", output, "--quiet")

  def measure(self, cell):
    """A record of one cell: verdict, and the figures that there are."""
    output = self.directory / "out"
    written = self.write(cell, output)
    message = " ".join(written.stderr.split()).removeprefix("error: ").split("; see deepseek-")[0]
    if cell.expected == "refused":
      if written.returncode == USAGE and message and not output.exists():
        return {"verdict": "refused", "message": message}
      return {"verdict": "red", "message": f"was not refused as it should be: status {written.returncode} {message}".strip()}
    if written.returncode != 0:
      return {"verdict": "red", "message": f"we: status {written.returncode}: {message[:300]}"}
    record = self.compare_embeddings(cell, output) if cell.family == "bert" else self.compare_predictions(cell, output)
    report = output / "report.json"
    return record | {"warnings": json.loads(report.read_text())["warnings"] if report.exists() else []}

  def compare_predictions(self, cell, output):
    source, logits = self.source(cell.family), self.directory / "logits.safetensors"
    model = ["--model", source, "--adapter", output] if cell.format == "adapter" else ["--model", output]
    scored = ["eval", *model, "--eval", self.text, "--sequence-length", CONTEXT, "--quiet"]
    accuracy = json.loads(self.checked(*scored, "--eval-tokens", TOKENS, "--json"))["accuracy"]
    ours = (accuracy.get("compressed") or accuracy["reference"])["perplexity"]
    self.checked(*scored, "--save-logits", logits)
    theirs = self.runtime(cell.runtime).ask(
      self.limit, task="score", windows=self.windows(cell.family), logits=str(logits),
      model={"base": str(source), "adapter": str(output)} if cell.format == "adapter" else str(output))
    if "error" in theirs:
      return {"verdict": "red", "ours": ours, "message": theirs["error"]}
    record = {
      "ours": ours, "theirs": theirs["perplexity"], "difference": ours / theirs["perplexity"] - 1, "logits": theirs["logits"],
      "divergence": theirs["divergence"]}
    if theirs["tokens"] != accuracy["tokens"]:
      return record | {"verdict": "red", "message": f"we scored {accuracy['tokens']} tokens, the runtime {theirs['tokens']}"}
    if not abs(record["difference"]) <= cell.tolerance:
      return record | {"verdict": "red", "message": f"perplexity {ours:.4f} by us, {theirs['perplexity']:.4f} by the runtime"}
    return record | {"verdict": "green"}

  def compare_embeddings(self, cell, output):
    embeddings = self.directory / "embeddings.safetensors"
    self.checked("eval", "--model", output, "--eval", self.directory / "lines.txt", "--save-embeddings", embeddings)
    theirs = self.runtime(cell.runtime).ask(self.limit, task="embed", model=str(output), lines=self.lines, embeddings=str(embeddings))
    if "error" in theirs:
      return {"verdict": "red", "message": theirs["error"]}
    record = {"cosine": theirs["cosine"]}
    if not theirs["cosine"] >= (ROUNDED_COSINE if cell.rounds else COSINE):
      return record | {"verdict": "red", "message": f"the least cosine of {theirs['lines']} embeddings is {theirs['cosine']:.6f}"}
    return record | {"verdict": "green"}

  def tokens(self, cell):
    """The runtime's own tokenizer on what we wrote, beside ours on the source: None where it has none."""
    output = self.directory / "out"
    text = self.directory / "unicode.txt"
    text.write_text(UNICODE, encoding="utf-8")
    found = json.loads(self.checked("tokenize", "--model", self.source(cell.family), "--file", text, "--whole", "--json"))
    ours = [token for line in found for token in line]
    answer = self.runtime(cell.runtime).ask(self.limit, task="tokens", model=str(output), text=UNICODE)
    if "error" in answer:
      return {"verdict": "red", "message": answer["error"]}
    theirs = answer.get("tokens")
    if theirs is None:
      return None
    if theirs == ours:
      return {"verdict": "green", "count": len(ours)}
    place = next((index for index, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
    return {
      "verdict": "red",
      "message": f"token {place}: {ours[place : place + 4]} by us, {theirs[place : place + 4]} by the runtime ({len(ours)} and {len(theirs)} in all)"}

  def record(self, cell):
    started = time.monotonic()
    try:
      found = self.measure(cell)
      # Once a family and runtime, on the file without quantization.
      if cell.flags[0] == "convert" and found["verdict"] != "refused" and (self.directory / "out").exists():
        tokens = self.tokens(cell)
        found |= {"tokens": tokens} if tokens else {}
    except (RuntimeError, ValueError, KeyError, OSError) as problem:
      found = {"verdict": "red", "message": " ".join(str(problem).split())[:400]}
    if "message" in found:
      found["message"] = found["message"].replace(f"{self.directory}/", "")
    return {"cell": cell.name, "seconds": round(time.monotonic() - started, 1), **found}

  def versions(self, names):
    found = {}
    for name in names:
      answer = self.runtime(name).ask(self.limit, task="versions")
      found |= {name: "did not start"} if "error" in answer else answer
    return found


def digest(path):
  return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def execute(arguments, directory):
  matrix = Matrix(arguments, directory)
  chosen = [
    cell for cell in cells()
    if cell.family in arguments.families and cell.format in arguments.formats and (not arguments.only or arguments.only in cell.name)]
  kept, executable = directory / "results.jsonl", digest(arguments.executable)
  records = {}
  if (arguments.resume or arguments.kept) and kept.exists():
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    records = {line["cell"]: line for line in lines if line.get("executable") == executable}
  if arguments.kept:
    chosen = [cell for cell in chosen if cell.name in records]
  with kept.open("a") as results:
    for index, cell in enumerate(chosen):
      if cell.name not in records:
        records[cell.name] = matrix.record(cell) | {"executable": executable}
        results.write(json.dumps(records[cell.name]) + "\n")
        results.flush()
      print(f"{index + 1}/{len(chosen)} {cell.name:56} {verdict_line(records[cell.name])}", flush=True)
  families = {}
  for family in FAMILIES:
    if any(cell.family == family for cell in chosen):
      matrix.source(family)
      families[family] = matrix.models[family] | {"config": json.loads((directory / "models" / family / "config.json").read_text())}
  blind = []
  for family, found in families.items():
    kind, least = min(found["rises"].items(), key=lambda item: item[1])
    if least < (COSINE_SENSITIVITY if family == "bert" else SENSITIVITY):
      blind.append(family)
      print(f"{family}: rows of {kind} rolled by one move what is compared by {least:.1%} alone: the model proves too little")
  tool = matrix.checked("--version").strip()
  versions = matrix.versions(sorted({cell.runtime for cell in chosen}))
  for runtime in matrix.runtimes.values():
    runtime.stop()
  if arguments.docs:
    arguments.docs.write_text(page(cells(), records, families, versions, tool), encoding="utf-8")
  red = [cell.name for cell in chosen if records[cell.name]["verdict"] == "red" or records[cell.name].get("tokens", {}).get("verdict") == "red"]
  counts = {verdict: sum(records[cell.name]["verdict"] == verdict for cell in chosen) for verdict in ("green", "refused", "red")}
  print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
  for name in red:
    print(f"red: {name}")
  return 1 if red or blind else 0


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable", type=os.path.abspath)
  parser.add_argument("model", type=Path)
  parser.add_argument("text")
  parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, metavar="FAMILY")
  parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS, metavar="FORMAT")
  parser.add_argument("--only", help="cells whose name, family/format/scheme, holds this text")
  parser.add_argument("--docs", type=Path)
  parser.add_argument("--work", type=Path)
  parser.add_argument("--resume", action="store_true")
  parser.add_argument("--kept", action="store_true")
  parser.add_argument("--limit", type=float, default=120, help="seconds that any one step may take (120)")
  arguments = parser.parse_args()
  if arguments.work:
    arguments.work.mkdir(parents=True, exist_ok=True)
    return execute(arguments, arguments.work)
  with tempfile.TemporaryDirectory() as directory:
    return execute(arguments, Path(directory))


if __name__ == "__main__":
  sys.exit(main())
