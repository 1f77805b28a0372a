"""Compares `deepseek-optimize tokenize` with the tokenizers library on real and random texts.

    python tokenizers.py [EXECUTABLE [TEXT [DIR...]]] [--count N] [--seed S]

Trains the shapes of make-tokenizer-fixtures.py on TEXT (vocabularies of up to 3000), takes the tokenizers of the model
directories given too, and compares token ids: TEXT's last megabyte as a whole and line by line, N random strings (10,000) one
a line, and the same strings, line breaks included, in longer texts. Exit status 1 when anything differs.
Without arguments: the release build, the demo's texts and model, and the models under DEEPSEEK_OPTIMIZE_MODELS.
"""

import argparse
import glob
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile

sys.path.append(sys.path.pop(0))  # this script has the library's name: its folder must not come first

from tokenizers import Tokenizer, __version__  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
DEMO = os.path.join(ROOT, "Sources/Recipes/Demo")


def fixtures():
    path = os.path.join(ROOT, "Tests/FormatsTests/Tokenizers/make-tokenizer-fixtures.py")
    spec = importlib.util.spec_from_file_location("make_tokenizer_fixtures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Comparison:
    def __init__(self, executable, scratch):
        self.executable, self.file = executable, os.path.join(scratch, "input.txt")
        self.compared = self.different = 0

    def ours(self, model, text, *options):
        with open(self.file, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        command = [self.executable, "tokenize", "--model", model, "--file", self.file, "--json", *options]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    def check(self, name, tokenizer, texts, ours):
        wrong = 0
        if len(ours) != len(texts):
            print(f"  {name}: {len(ours)} results for {len(texts)} texts")
            wrong = len(texts)
        else:
            for text, ids, encoding in zip(texts, ours, tokenizer.encode_batch(texts)):
                if ids != encoding.ids:
                    wrong += 1
                    if wrong <= 3:
                        at = next((i for i, (a, b) in enumerate(zip(ids, encoding.ids)) if a != b), min(len(ids), len(encoding.ids)))
                        print(f"  {name}: {text[:120]!r} from token {at}: {ids[at:at + 8]} for {encoding.ids[at:at + 8]}")
        self.compared += len(texts)
        self.different += wrong
        return wrong

    def lines(self, name, model, tokenizer, texts):
        return self.check(name, tokenizer, texts, self.ours(model, "\n".join(texts) + "\n"))

    def whole(self, name, model, tokenizer, texts):
        results = [self.ours(model, text, "--whole") for text in texts]
        # A single text may come as its ids or as a list of one list of ids.
        return self.check(name, tokenizer, texts, [r[0] if r and isinstance(r[0], list) else r for r in results])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable", nargs="?", default=os.path.join(ROOT, ".build/release/deepseek-optimize"))
    parser.add_argument("text", nargs="?", default=os.path.join(DEMO, "evaluation.txt"))
    parser.add_argument("directories", nargs="*")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not options.directories:
        beside = os.environ.get("DEEPSEEK_OPTIMIZE_MODELS", "")
        found = glob.glob(os.path.join(beside, "*/tokenizer.json")) if beside else []
        options.directories = [os.path.join(DEMO, "model")] + sorted(map(os.path.dirname, found))
    make = fixtures()
    r = random.Random(options.seed)
    texts = [make.random_text(r) for _ in range(options.count)]
    # A line ends at a line feed only; other separators stay inside lines.
    single = [t.replace("\r", " ").replace("\n", " ") or "x" for t in texts]
    joined = ["".join(texts[i : i + 200]) for i in range(0, len(texts), 200)][:50]
    content = open(options.text, encoding="utf-8", newline="").read().replace("\r", "")
    real = content[-1_000_000:].strip("\n")
    print(f"tokenizers {__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        models = {os.path.basename(os.path.normpath(d)): d for d in options.directories}
        for name, value in make.shapes(content[:4_000_000].split("\n"), 3000).items():
            models[name] = os.path.join(scratch, name)
            os.mkdir(models[name])
            with open(os.path.join(models[name], "tokenizer.json"), "w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False)
        comparison = Comparison(options.executable, scratch)
        for name, model in models.items():
            tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
            counts = [
                comparison.whole(name, model, tokenizer, [real]),
                comparison.lines(name, model, tokenizer, real.split("\n")),
                comparison.lines(name, model, tokenizer, single),
                comparison.whole(name, model, tokenizer, joined),
            ]
            print(f"{name}: differences whole {counts[0]}, lines {counts[1]}, random {counts[2]}, long random {counts[3]}", flush=True)
    print(f"{comparison.compared} texts compared, {comparison.different} different")
    sys.exit(1 if comparison.different else 0)


if __name__ == "__main__":
    main()
