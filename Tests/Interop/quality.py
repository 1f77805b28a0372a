"""Every method at every width on one model, measured alike: the table of Docs/quality.md.

quality.py EXECUTABLE MODEL CALIBRATION_TEXT EVALUATION_TEXT [--only TEXT ...] [--threads N]

Each row is one run of `quant --no-eval`, whose processor time is what the row says, and one `eval --reference` of what it wrote. Needs nothing
but Python's standard library.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("executable")
parser.add_argument("model")
parser.add_argument("calibration")
parser.add_argument("evaluation")
parser.add_argument("--only", action="append", default=[], help="rows whose name holds this text")
parser.add_argument("--samples", default="256")
parser.add_argument("--context", default="256")
parser.add_argument("--eval-tokens", default="51200")
parser.add_argument("--threads", default="2")
arguments = parser.parse_args()

calibrated = ["--calibration", arguments.calibration, "--calibration-samples", arguments.samples]
widths = [(4, 128), (3, 128), (2, 64)]
rows = []
for bits, group in widths:
    base = ["--bits", str(bits), "--group-size", str(group)]
    for algorithm in ["rtn", "mse", "hqq"]:
        rows.append((f"{algorithm} {bits} g{group}", base + ["--algorithm", algorithm]))
    for algorithm in ["imatrix", "awq", "gptq", "yaqa", "autoround"]:
        rows.append((f"{algorithm} {bits} g{group}", base + ["--algorithm", algorithm] + calibrated))
    trained = base + ["--algorithm", "qat"] + calibrated
    rows.append((f"qat {bits} g{group}", trained))
    rows.append((f"qat scales {bits} g{group}", trained + ["--training", "scales", "--training-steps", "300"]))
    rows.append((f"qat blockwise {bits} g{group}", trained + ["--training", "blockwise", "--training-steps", "300"]))
    rows.append((f"rotate + gptq {bits} g{group}", base + ["--rotate", "hadamard", "--algorithm", "gptq"] + calibrated))
    rows.append((f"rotate + yaqa {bits} g{group}", base + ["--rotate", "hadamard", "--algorithm", "yaqa"] + calibrated))
    rows.append((f"smooth 0.5 + gptq {bits} g{group}", base + ["--smooth", "0.5", "--algorithm", "gptq"] + calibrated))
    rows.append((f"yaqa, tiers {bits} g{group}", base + ["--algorithm", "yaqa", "--calibration-sampling", "tiers"] + calibrated))
for bits, group in [(8, 0), (6, 128), (5, 128)]:
    base = ["--bits", str(bits), "--group-size", str(group)]
    rows.append((f"rtn {bits} g{group}", base + ["--algorithm", "rtn"]))
    rows.append((f"gptq {bits} g{group}", base + ["--algorithm", "gptq"] + calibrated))
    rows.append((f"yaqa {bits} g{group}", base + ["--algorithm", "yaqa"] + calibrated))
eight = ["--bits", "8", "--algorithm", "rtn"]
rows.append(("W8A8 rtn", eight + ["--activations", "int8"]))
rows.append(("W8A8 static", eight + ["--activations", "int8-static"] + calibrated))
for alpha in ["0.5", "0.65", "0.8"]:
    rows.append((f"W8A8 smooth {alpha}", eight + ["--activations", "int8", "--smooth", alpha] + calibrated))
four = ["--bits", "4", "--group-size", "128", "--activations", "int8"]
rows.append(("W4A8 rtn g128", four + ["--algorithm", "rtn"]))
rows.append(("W4A8 gptq g128", four + ["--algorithm", "gptq"] + calibrated))
rows.append(("W4A8 yaqa g128", four + ["--algorithm", "yaqa"] + calibrated))
rows.append(("W4A8 rotate + gptq g128", four + ["--rotate", "hadamard", "--algorithm", "gptq"] + calibrated))
rows.append(("auto 4.25 bpw", ["--group-size", "128", "--mixed-precision", "auto", "--target-bpw", "4.25"] + calibrated))


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


failed = 0
print("| method | mean KL | median KL | p99 KL | perplexity ratio | top-1 | CPU s |\n| --- | --- | --- | --- | --- | --- | --- |", flush=True)
for name, flags in rows:
    if arguments.only and not any(text in name for text in arguments.only):
        continue
    with tempfile.TemporaryDirectory() as scratch:
        output = str(pathlib.Path(scratch) / "out")
        before = processor_seconds()
        common = ["--quiet", "--threads", arguments.threads]
        run = subprocess.run(
            [arguments.executable, "quant", "--model", arguments.model, "--output", output, "--no-eval", "--sequence-length", arguments.context]
            + flags + common, capture_output=True, text=True)
        if run.returncode != 0:
            print(f"| {name} | failed: {run.stderr.strip()} | | | | | |", flush=True)
            failed += 1
            continue
        seconds = processor_seconds() - before
        run = subprocess.run(
            [arguments.executable, "eval", "--model", output, "--reference", arguments.model, "--eval", arguments.evaluation, "--sequence-length",
             arguments.context, "--eval-tokens", arguments.eval_tokens, "--json"] + common, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(run.stderr)
        accuracy = json.loads(run.stdout)["accuracy"]
        kl = accuracy["klDivergence"]
        print(
            f"| {name} | {kl['mean']:.5f} | {kl['median']:.5f} | {kl['p99']:.4f} | {accuracy['perplexityRatio']:.5f} "
            f"| {accuracy['topTokenAgreement']:.4f} | {seconds:.0f} |", flush=True)
sys.exit(1 if failed else 0)
